"""The study of a tuner is an ordinary Optuna study, also for another process while the search runs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import matplotlib
import matplotlib.pyplot as plt
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from kerastuna.search import OptunaTuner
from kerastuna.search.errors import SpaceError
from kerastuna.search.study.budget import Size

matplotlib.use("agg")


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    hp.Int("width", 4, 32, step=4)
    hp.Choice("kind", ["a", "b"])
    hp.Float("learning rate", 1e-4, 1e-1, sampling="log")
    with hp.conditional_scope("kind", ["a"]):
        hp.Boolean("a/flag")
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


class Tuner(OptunaTuner):
    """Trains nothing, and stops some trials early."""

    during: Callable[[int], None] = staticmethod(lambda number: None)

    def measure(self, hp: keras_tuner.HyperParameters) -> Size:
        return Size(100 * int(hp.values["width"]))

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        values = trial.hyperparameters.values
        self.during(int(trial.trial_id))
        score = values["width"] / 32 + values["learning rate"] / 100
        for epoch in (1, 2, 3, 4):
            if self.oracle.report(trial.trial_id, epoch, {"score": score * epoch / 4}):
                break
        return score


def make(folder: Path, trials: int = 20, **given: Any) -> Tuner:
    tuner = Tuner(
        build,
        **{
            "objective": keras_tuner.Objective("score", "max"),
            "max_trials": trials,
            "budget": 2400,
            "sampler": "random",
            "pruner": "median",
            "seed": 0,
            "directory": folder,
            "project_name": "project",
        }
        | given,
    )
    tuner.oracle.verbose = 0
    return tuner


def storage_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'studies.db'}"


FEW_STOP = optuna.pruners.PercentilePruner(80.0, n_startup_trials=8)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> optuna.Study:
    """20 trained trials, loaded as another program would."""
    folder = tmp_path_factory.mktemp("study")
    make(folder, storage=storage_url(folder), pruner=FEW_STOP).search()
    return optuna.load_study(study_name="project", storage=storage_url(folder))


def test_names_values_and_distributions_are_those_of_the_hyperparameters(study: optuna.Study) -> None:
    kinds = {
        "width": IntDistribution(4, 32, step=4),
        "kind": CategoricalDistribution(("a", "b")),
        "learning rate": FloatDistribution(1e-4, 1e-1, log=True),
        "a/flag": CategoricalDistribution((False, True)),
    }
    for trial in study.trials:
        assert trial.params == trial.user_attrs["hyperparameters"]
        assert trial.distributions == {name: kinds[name] for name in trial.params}
        assert ("a/flag" in trial.params) == (trial.params["kind"] == "a")
    assert {trial.user_attrs.get("reason") for trial in study.trials} == {None, "over_budget", "stopped_early"}
    assert study.best_params["width"] == max(trial.params["width"] for trial in study.trials if trial.value is not None)
    assert study.best_trial.user_attrs["params"] <= 2400


def test_importances_and_the_table(study: optuna.Study) -> None:
    importances = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    assert max(importances, key=lambda name: importances[name]) == "width"
    assert importances.keys() == {"width", "kind", "learning rate"}  # what every complete trial has
    assert get_param_importances(study).keys() == {*importances, "a/flag"}
    table = study.trials_dataframe()
    assert len(table) == len(study.trials)
    assert {"number", "value", "state", "params_width", "params_a/flag", "user_attrs_params"} <= set(table.columns)
    refused = table[table["user_attrs_reason"] == "over_budget"]
    assert (refused["params_width"] > 24).all()
    assert (refused["state"] == "PRUNED").all()


@pytest.mark.filterwarnings("ignore:.* is experimental")
@pytest.mark.parametrize(
    "plot",
    [
        "plot_optimization_history",
        "plot_param_importances",
        "plot_parallel_coordinate",
        "plot_slice",
        "plot_contour",
        "plot_rank",
        "plot_edf",
        "plot_intermediate_values",
        "plot_timeline",
    ],
)
def test_optunas_figures(study: optuna.Study, plot: str) -> None:
    with matplotlib.rc_context():  # Optuna changes the style for the whole process
        axes = getattr(optuna.visualization.matplotlib, plot)(study)
    assert axes is not None
    plt.close("all")


OPEN = """
import json, sys
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="project", storage={storage})
trials = study.trials
print(json.dumps([trials[-1].state.name, trials[-1].params, trials[-1].number, len(study.trials_dataframe())]))
"""


@pytest.mark.parametrize("kind", ["database", "journal"])
def test_another_process_opens_it_while_the_search_runs(tmp_path: Path, kind: str) -> None:
    journal = "optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(sys.argv[1]))"
    url = storage_url(tmp_path) if kind == "database" else str(tmp_path / "studies.journal")
    tuner = make(tmp_path, 5, storage=url)
    seen: list[Any] = []

    def look(number: int) -> None:
        if number < 4:
            return
        code = OPEN.format(storage="sys.argv[1]" if kind == "database" else journal)
        result = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
        seen.append([number, *json.loads(result.stdout)])

    tuner.during = look
    tuner.search()
    assert seen
    for number, state, params, last, rows in seen:
        assert (state, last, rows) == ("RUNNING", number, number + 1)
        assert params == tuner.oracle.study.trials[number].params


def test_what_another_program_enqueues_comes_first(tmp_path: Path) -> None:
    tuner = make(tmp_path, 2, storage=storage_url(tmp_path))
    wanted = {"width": 8, "kind": "b", "learning rate": 0.01}
    study = optuna.load_study(study_name=tuner.oracle.study.study_name, storage=storage_url(tmp_path))
    study.enqueue_trial(wanted)
    tuner.search()
    assert study.trials[0].params == wanted
    assert study.trials[0].state.name == "COMPLETE"


# Enqueueing through the tuner

FITS = {"width": 12, "kind": "a", "learning rate": 0.001, "a/flag": True}


def test_what_is_enqueued_comes_first_and_in_order(tmp_path: Path) -> None:
    tuner = make(tmp_path, 4)
    hp = keras_tuner.HyperParameters()
    build(hp)
    hp.values |= {"width": 16, "kind": "b", "learning rate": 0.05}
    tuner.enqueue(FITS, name="mine")
    tuner.enqueue(hp)
    tuner.search()
    first, second = tuner.oracle.study.trials[:2]
    assert (first.params, first.user_attrs["name"], first.state.name) == (FITS, "mine", "COMPLETE")
    assert second.params == {"width": 16, "kind": "b", "learning rate": 0.05}
    assert tuner.oracle.trials["0000"].hyperparameters.values == FITS


def test_what_is_enqueued_over_the_budget_or_twice_is_refused_like_any_other(tmp_path: Path) -> None:
    tuner = make(tmp_path, 3)
    for values in ({**FITS, "width": 32}, FITS, FITS):
        tuner.enqueue(values)
    tuner.search()
    trials = tuner.oracle.study.trials
    assert [trial.user_attrs.get("reason") for trial in trials[:3]] == ["over_budget", None, "duplicate"]
    assert [trial.state.name for trial in trials[:3]] == ["PRUNED", "COMPLETE", "PRUNED"]
    assert trials[0].user_attrs["message"] == "3,200 parameters, 2,400 allowed"
    assert len(tuner.oracle.trials) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**FITS, "width": 5}, "'width' = 5 is outside the space: give a whole number from 4 to 32 in steps of 4"),
        ({**FITS, "kind": "c"}, "'kind' = 'c' is outside the space: give one of 'a', 'b'"),
        ({"width": 4, "kind": "b"}, "'learning rate' has no value: give every active one"),
        (
            {**FITS, "widht": 5},
            "'widht' is no hyperparameter of the space, which has a/flag, kind, learning rate, width",
        ),
    ],
)
def test_what_is_not_in_the_space_is_told_at_once(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    tuner = make(tmp_path)
    with pytest.raises(SpaceError, match=message) as told:
        tuner.enqueue(values)
    assert "\n" not in str(told.value)
    assert tuner.oracle.study.trials == []
