"""Spaces as users write them, odd ones and wrong ones: each works, or gets one clear line."""

import csv
import io
import json
import random
import re
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from keras import layers
from support import call_kerastuna

from kerastuna.search import OptunaTuner
from kerastuna.search.commands.user_space import load_space
from kerastuna.search.datasets.task import Classification
from kerastuna.search.display.tables import console, leaderboard_table
from kerastuna.search.errors import InputError, SpaceError
from kerastuna.search.messages import cause, cause_in
from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.search.report.figures import png
from kerastuna.search.report.study_report import leaderboard_csv, study_figures
from kerastuna.search.study.goal import goal_of
from kerastuna.search.study.records import trial_records

HP = Any  # keras_tuner.HyperParameters, whose methods are not annotated
X, Y = np.random.default_rng(0).random((8, 4), "float32"), np.arange(8) % 2
ODD = "my units / of é 日本 [x] %s {y} $a_b$ \"'\n tab\t"
LONG = "n" * 599
OWN_WORDS = (
    *("params", "macs", "ram", "value", "values", "seed", "epochs", "state", "reason", "number", "trial", "summary"),
    *("message", "hyperparameters", "history", "objective", "loss", "val_accuracy", "learning_rate", "tuner/epochs"),
)


def network(units: int = 2) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


def tuner_of(space: Any, folder: Path, max_trials: int = 2, objective: str = "val_accuracy", **given: Any) -> Any:
    goal = keras_tuner.Objective(objective, "max")
    given = {"budget": 1000, "seed": 0, "pruner": "none"} | given
    return OptunaTuner(space, goal, max_trials, directory=folder, **given)


def search(tuner: Any, x: Any = X, y: Any = Y) -> optuna.Study:
    tuner.search(x, y, validation_data=(x, y), verbose=0)
    return tuner.oracle.study


# what works


def odd_name(hp: HP) -> keras.Model:
    return network(hp.Int(ODD, 1, 9))


def long_names(hp: HP) -> keras.Model:
    return network(hp.Int(LONG + "a", 1, 9) + hp.Int(LONG + "b", 1, 9))


def empty_name(hp: HP) -> keras.Model:
    return network(hp.Int("", 1, 9))


def own_words(hp: HP) -> keras.Model:
    return network(sum(hp.Int(word, 1, 3) for word in OWN_WORDS) % 5 + 1)


def choices_of_every_kind(hp: HP) -> keras.Model:
    hp.Choice("float", [0.1, 0.2, 1e-9])
    hp.Choice("bool", [True, False])
    hp.Choice("text", ["", "a\nb", "[red]x[/red]", "é日本", "x" * 7000])
    hp.Choice("twice", [1, 1, 2])
    return network(hp.Choice("int", [1, 2, 3]))


def two_hundred(hp: HP) -> keras.Model:
    return network(1 + sum(hp.Boolean(f"hyperparameter_{index}") for index in range(200)) % 5)


def one_name_several_ranges(hp: HP) -> keras.Model:
    return network(hp.Int("u", 1, 9) + hp.Int("u", 1, 3) + len(str(hp.Choice("u", ["a", "b"]))))


def one_name_under_two_conditions(hp: HP) -> keras.Model:
    units = 1
    kind = hp.Choice("kind", ["narrow", "wide"])
    with hp.conditional_scope("kind", "narrow"):
        if kind == "narrow":
            units = hp.Int("units", 1, 3)
    with hp.conditional_scope("kind", "wide"):
        if kind == "wide":
            units = hp.Int("units", 5, 9)
    return network(units)


def numbers_of_numpy(hp: HP) -> keras.Model:
    hp.Float("rate", np.float32(0), np.float32(1))
    return network(int(hp.Int("units", np.int64(1), np.int64(9))))


def slow_and_talkative(hp: HP) -> keras.Model:
    time.sleep(0.05)
    print("hello")
    return network(hp.Int("units", 1, 9))


def that_seeds(hp: HP) -> keras.Model:
    keras.utils.set_random_seed(1)
    random.seed(2)
    np.random.seed(3)
    return network(hp.Int("units", 1, 9))


class Stepping(keras.Model):
    """With a training step of its own."""

    def train_step(self, *arguments: Any) -> Any:
        return super().train_step(*arguments)


def own_training_step(hp: HP) -> keras.Model:
    x = keras.Input((4,))
    model = Stepping(x, layers.Dense(2, activation="softmax")(layers.Dense(hp.Int("units", 1, 9))(x)))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


class Untold(keras_tuner.HyperModel):
    """Its constructor leaves out KerasTuner's."""

    def __init__(self) -> None:
        pass

    def build(self, hp: HP) -> keras.Model:
        return network(hp.Int("units", 1, 9))


WORKING = [
    *(odd_name, long_names, empty_name, own_words, choices_of_every_kind, two_hundred, one_name_several_ranges),
    *(one_name_under_two_conditions, numbers_of_numpy, slow_and_talkative, that_seeds, own_training_step, Untold()),
    lambda hp: network(hp.Int("units", 1, 9)),
]


@pytest.mark.parametrize("space", WORKING, ids=lambda space: getattr(space, "__name__", type(space).__name__))
def test_an_odd_space_is_searched_and_gone_on_with(tmp_path: Path, space: Any) -> None:
    study = search(tuner_of(space, tmp_path))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    records = trial_records(study.trials)
    assert records == json.loads(json.dumps(records, allow_nan=False))
    again = tuner_of(space, tmp_path, 3)
    assert again.remaining_trials == 1
    assert again.get_best_hyperparameters()[0].values in [record["hyperparameters"] for record in records]
    records = trial_records(search(again).trials)
    assert len({json.dumps(record["hyperparameters"]) for record in records if record["reason"] is None}) == 3


SINGLE: dict[str, Callable[[HP], Any]] = {
    "nothing": lambda hp: None,
    "Fixed": lambda hp: hp.Fixed("x", 3),
    "Choice": lambda hp: hp.Choice("x", [3]),
    "Int": lambda hp: hp.Int("x", 3, 3),
    "Float": lambda hp: hp.Float("x", 0.5, 0.5),
    "Float, log": lambda hp: hp.Float("x", 0.5, 0.5, sampling="log"),
    "Float, step": lambda hp: hp.Float("x", 0.5, 0.5, step=0.1),
    "Int, log, step": lambda hp: hp.Int("x", 3, 3, step=2, sampling="log"),
}


@pytest.mark.parametrize("declare", SINGLE.values(), ids=SINGLE)
def test_a_space_of_one_point_has_one_trial(tmp_path: Path, declare: Callable[[HP], Any]) -> None:
    def build(hp: HP) -> keras.Model:
        declare(hp)
        return network()

    study = search(tuner_of(build, tmp_path, 5))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]
    assert len(search(tuner_of(build, tmp_path, 5)).trials) == 1


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    def build(hp: HP) -> keras.Model:
        left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
        x = layers.Dense(hp.Int("units", 1, 9))(layers.Concatenate()([left, right]))
        outputs = {"kind": layers.Dense(2, activation="softmax", name="kind")(x), "size": layers.Dense(1)(x)}
        model = keras.Model({"left": left, "right": right}, outputs)
        losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
        model.compile("sgd", losses, metrics={"kind": ["accuracy"]}, run_eagerly=True)
        return model

    tuner = tuner_of(build, tmp_path, objective="val_kind_accuracy")
    study = search(tuner, {"left": X, "right": X}, {"kind": Y, "size": Y.astype("float32")})
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert all(trial.user_attrs["params"] == 8 * units + 4 * units + 3 for trial in study.trials
               for units in trial.params.values())  # fmt: skip


def test_hyperparameters_that_differ_from_call_to_call_are_searched_as_they_come(tmp_path: Path) -> None:
    calls: list[int] = []

    def build(hp: HP) -> keras.Model:
        calls.append(1)
        return network(hp.Int(f"units_{len(calls)}", 1, 9))

    assert [trial.state.name for trial in search(tuner_of(build, tmp_path, budget=None)).trials] == ["COMPLETE"] * 2


def test_a_build_that_fails_now_and_then_costs_no_trial(tmp_path: Path) -> None:
    def build(hp: HP) -> keras.Model:
        if hp.Choice("units", [2, 1, 3, 4]) % 2:
            raise ValueError("odd")
        return network(hp.get("units"))

    outcomes = {(trial.params["units"] % 2, trial.state.name) for trial in search(tuner_of(build, tmp_path, 4)).trials}
    assert outcomes - {(0, "PRUNED"), (1, "PRUNED")} == {(0, "COMPLETE"), (1, "FAIL")}


# what gets a line


def raising(hp: HP) -> keras.Model:
    raise ValueError("no such layer")


@pytest.mark.parametrize(
    ("space", "kind", "told"),
    [
        (raising, ValueError, "no such layer"),
        (lambda hp: hp.Choice("x", [1, "a"]), TypeError, "can contain only one type of value"),
        (lambda hp: hp.Choice("x", [(1, 2), (3, 4)]), TypeError, "can contain only `int`, `float`, `str`, or `bool`"),
        (lambda hp: hp.Choice("x", ["a", None]), TypeError, "can contain only one type of value"),
        (lambda hp: hp.Float("x", 2, 1), ValueError, "min_value 2.0 is greater than the max_value 1.0"),
        (lambda hp: hp.Float("x", 0, float("inf")), SpaceError, "'x' is a number from 0.0 to inf: give bounds that"),
        (lambda hp: hp.Int("x", 1, 5, step=0), SpaceError, "'x' has a step of 0: give one above 0"),
        ("network", keras_tuner.errors.FatalValueError, "either a callable with signature `build(hp)`"),
    ],
)
def test_a_wrong_space_is_told_before_the_first_trial(
    tmp_path: Path, space: Any, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=re.escape(told)):
        tuner_of(space, tmp_path)


@pytest.mark.parametrize("budget", [None, 1000])
@pytest.mark.parametrize("made", [None, "model", layers.Dense(2), Untold], ids=str)
def test_what_is_no_model_is_told_at_the_first_trial(tmp_path: Path, made: Any, budget: int | None) -> None:
    def build(hp: HP) -> Any:
        hp.Int("units", 1, 9)
        return made

    tuner = tuner_of(build, tmp_path, budget=budget)
    with pytest.raises(keras_tuner.errors.FatalTypeError, match="to return a valid Keras Model instance") as caught:
        search(tuner)
    assert "\n" not in str(caught.value)
    failed, waiting = tuner.oracle.study.trials
    assert (failed.state.name, failed.user_attrs["reason"]) == ("FAIL", "interrupted")
    assert (waiting.state.name, waiting.system_attrs["fixed_params"]) == ("WAITING", failed.params)


def test_once_the_space_is_corrected_its_only_point_is_tried_again(tmp_path: Path) -> None:
    models: list[Any] = [None, None, None]

    def build(hp: HP) -> Any:
        return models.pop() if models else network()

    with pytest.raises(keras_tuner.errors.FatalTypeError):
        search(tuner_of(build, tmp_path))
    models.clear()
    states = [trial.state.name for trial in search(tuner_of(build, tmp_path)).trials]
    assert states == ["FAIL", "COMPLETE"]


def uncompiled(hp: HP) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(hp.Int("units", 1, 9))])


def without_the_metric(hp: HP) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(hp.Int("units", 2, 9), activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    return model


def test_trials_that_all_fail_end_the_search_with_their_cause(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 3") as caught:
        search(tuner_of(uncompiled, tmp_path))
    assert cause_in(str(caught.value)).startswith("ValueError: You must call `compile()` before using the model.")


def test_an_objective_that_no_trial_reports_ends_the_search_in_one_line(tmp_path: Path) -> None:
    told = "no metric is called 'val_accuracy', which is optimised; there are loss, val_loss: optimise one of these"
    with pytest.raises(InputError, match=told):
        search(tuner_of(without_the_metric, tmp_path))


@pytest.mark.parametrize(
    "message", ["", "one", "one\n  two\nthree", 'Graph error:\n  File "x.py", line 3\nshapes', "x" * 2000]
)
def test_a_cause_is_one_line_of_the_error_however_it_is_printed(message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        raise ValueError(message)
    trace = "".join(traceback.format_exception(caught.value))
    assert cause(caught.value) == cause_in(trace) == cause_in(f"3 failures in a row.\n{trace}")
    assert cause_in(trace).startswith("ValueError")
    assert "\n" not in cause_in(trace)
    assert len(cause_in(trace)) <= 300


def test_a_trace_without_its_beginning_tells_the_error_all_the_same() -> None:
    assert cause_in('me.py", line 2\n    go()\n  File "me.py", line 3, in go\n    x\nKeyError: 3\n') == "KeyError: 3"
    assert cause_in("ValueError: alone") == "ValueError: alone"


@pytest.fixture
def _no_module_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_no_module_left")
@pytest.mark.parametrize("attribute", ["Without", "without"])
def test_a_hypermodel_without_build_is_refused(tmp_path: Path, attribute: str) -> None:
    (tmp_path / f"space_of_{attribute}.py").write_text(
        "import keras_tuner\n\nclass Without(keras_tuner.HyperModel):\n    pass\n\nwithout = Without()\n"
    )
    with pytest.raises(SpaceError, match=r"has no build\(hp\): give Without one that returns a compiled model"):
        load_space(f"space_of_{attribute}:{attribute}", (4, 4, 1), Classification(2))


# what people see of it


def awkward(hp: HP) -> None:
    hp.Float(ODD, 0, 1)
    hp.Float(LONG + "a", 0, 1)
    hp.Float(LONG + "b", 0, 1)
    hp.Choice("text", ["a\nb", "é日本", "x" * 7000])
    for word in OWN_WORDS:
        hp.Int(word, 1, 3)
    for index in range(200):
        hp.Boolean(f"hyperparameter_{index}")


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    """Of 20 trials that were never trained."""
    hp = keras_tuner.HyperParameters()
    awkward(hp)
    space, study = ParameterSpace(hp.space), optuna.create_study(direction="maximize")
    study.set_user_attr("identity", {"objective": ["val_accuracy", "max"]})
    sampler = optuna.samplers.RandomSampler(0)
    for number in range(20):
        blank = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        values = space.fill(
            lambda given, blank=blank: given.distribution.to_external_repr(
                given.distribution.to_internal_repr(
                    sampler.sample_independent(study, blank, given.name, given.distribution)
                )
            )
        )
        parameters, distributions = space.encode(values)
        value = float(values[LONG + "a"])
        attributes = {"hyperparameters": values, "params": number + 1, "history": [{"val_accuracy": value}]}
        study.add_trial(
            optuna.trial.create_trial(
                value=value, params=parameters, distributions=distributions, user_attrs=attributes,
                intermediate_values={1: value},
            )
        )  # fmt: skip
    return study


def test_the_figures_show_any_name(study: optuna.Study) -> None:
    figures = study_figures(study)
    assert not figures.left_out
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that does not fit, too
        assert all(png(figure) for figure in figures.drawn.values())
    importances = figures.drawn["hyperparameter_importances"].axes[0]
    names = [label.get_text() for label in importances.get_yticklabels()]
    assert names[-1].startswith("nnn")
    assert names[-1].endswith("na")
    assert max(map(len, names)) <= 40


def test_the_tables_show_any_name(study: optuna.Study, tmp_path: Path) -> None:
    with (tmp_path / "table").open("w+", encoding="utf-8") as file:
        console(file).print(leaderboard_table(study.trials, goal_of(study)))
        file.seek(0)
        lines = file.read().splitlines()
    assert len(lines) < 12 * 6
    assert any("my units / of é" in line for line in lines)
    header, *rows = csv.reader(io.StringIO(leaderboard_csv(study.trials, goal_of(study))))
    assert {ODD, LONG + "a", LONG + "b"} < set(header)
    assert len(rows) == 20
    assert {row[header.index("text")] for row in rows} == {"a\nb", "é日本", "x" * 7000}


# the command

SPACES = f"""
import keras
import keras_tuner
from keras import layers

def network(units=2):
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(units), layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model

def awkward(hp):
    print("printed by the space")
    hp.Float({ODD!r}, 0, 1)
    hp.Float({LONG + "a"!r}, 0, 1)
    hp.Choice("text", ["a\\nb", "x" * 7000])
    for word in {OWN_WORDS!r}:
        hp.Int(word, 1, 3)
    for index in range(200):
        hp.Boolean(f"hyperparameter_{{index}}")
    return network(hp.Int("units", 1, 9))

def raising(hp):
    raise ValueError("no such\\nlayer")

def nothing(hp):
    pass

def uncompiled(hp):
    return keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(hp.Choice("units", [2, 3]))])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spaces")
    (folder / "my_spaces.py").write_text(SPACES, encoding="utf-8")
    images = np.random.default_rng(0).integers(0, 256, (80, 4, 4)).astype("uint8")
    labels = np.arange(80) % 2
    np.savez(folder / "small.npz", x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    return folder


def command(folder: Path, space: str, *given: str, check: int = 0) -> Any:
    common = ("--data", "small.npz", "--epochs", "1", "--trials", "2", "--device", "cpu", "--no-confirm", "--json")
    return call_kerastuna(
        folder, "search", "--space", f"my_spaces:{space}", *common, "--study", space, *given, check=check
    )


def test_the_command_searches_an_awkward_space_and_goes_on_with_it(folder: Path) -> None:
    told = json.loads(command(folder, "awkward", "--trials", "2").stdout)  # what the space prints is not in it
    assert told["trials"]["complete"] + told["trials"]["pruned"] == 2
    result = command(folder, "awkward", "--trials", "3")
    assert "printed by the space" in result.stderr
    told = json.loads(result.stdout)
    assert told["trials"]["complete"] + told["trials"]["pruned"] == 3
    trials = json.loads(call_kerastuna(folder, "trials", "--study", "awkward", "--json").stdout)
    assert len(trials[0]["hyperparameters"]) == 4 + len(OWN_WORDS) + 200
    assert ODD in trials[0]["hyperparameters"]
    assert len(call_kerastuna(folder, "trials", "--study", "awkward", "--all").stdout.splitlines()) < 60
    from mlflow import MlflowClient

    client = MlflowClient(told["mlflow"]["tracking_uri"])
    runs = client.search_runs(
        [client.get_run(told["mlflow"]["run_id"]).info.experiment_id], "attributes.run_name = 'trial-0000'"
    )
    assert len(runs[0].data.params) == len(trials[0]["hyperparameters"])
    assert runs[0].data.params["units"] == str(trials[0]["hyperparameters"]["units"])


def test_the_command_says_in_one_line_what_is_wrong_with_a_space(folder: Path) -> None:
    for space, told in (
        ("raising", "space 'my_spaces:raising' cannot be used (ValueError: no such layer): correct it"),
        ("nothing", "space 'my_spaces:nothing' cannot be used (FatalTypeError: Expected the model-building function, "),
    ):
        result = command(folder, space, check=2)
        assert result.stdout == ""
        assert told in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr


def test_the_command_names_the_cause_when_every_trial_fails(folder: Path) -> None:
    result = command(folder, "uncompiled", check=1)
    assert json.loads(result.stdout)["trials"]["failed"] == 2
    line = "2 trials failed, none was trained; the last error: ValueError: You must call `compile()` before using the"
    assert line in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
