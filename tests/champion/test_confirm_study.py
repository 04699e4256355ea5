"""From a study to its champion, with networks that are no softmax of images.

The whole confirmation of images is tested from the shell in tests/end_to_end.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from export_support import answers_of_int8_file

from kerastuna.search.champion import confirm_study as module
from kerastuna.search.champion.confirm_study import Confirmation, confirm_study, saved_model
from kerastuna.search.champion.confirmation import CONFIRMATIONS
from kerastuna.search.champion.evaluation import TestResult
from kerastuna.search.champion.ledger import openings
from kerastuna.search.champion.record import champion_of, model_path_of
from kerastuna.search.champion.retraining import ConfirmationObserver, Retraining
from kerastuna.search.datasets.data import Dataset, fingerprint
from kerastuna.search.datasets.task import Classification, Regression, Task
from kerastuna.search.errors import DataError, InputError, SearchFailed, SpaceError, StudyError
from kerastuna.search.export import int8_models
from kerastuna.search.export.process import run_jobs
from kerastuna.search.report.champion_figures import champion_figures

SHAPE = (2, 2, 1)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, *SHAPE)).astype(np.float32)
SUM = X.sum(axis=(1, 2, 3))
TWO, NUMBERS = (SUM > 1).astype(np.int32), np.stack([SUM, X[:, 0, 0, 0]], axis=1).astype(np.float32)


def network(units: int, activation: str | None, loss: Any, *metrics: Any) -> Callable[[Any], Any]:
    def build(hp: keras_tuner.HyperParameters) -> Any:
        made: Any = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()])
        made.add(keras.layers.Dense(hp.Int("units", 1, 9), activation="relu"))
        made.add(keras.layers.Dense(units, activation=activation))
        made.compile(keras.optimizers.Adam(0.05), loss, metrics=list(metrics), run_eagerly=True)
        return made

    return build


class Kept:
    """Takes the place of MLflow, which tests/champion/test_publish.py tests: keeps what it is given to publish."""

    model: Any
    result: TestResult | None
    samples: np.ndarray | None
    rank: tuple[float, ...]

    def publish(self, record: Mapping[str, Any], model: Any, rank: Any, **given: Any) -> dict[str, Any]:
        self.model, self.rank = model, rank
        self.result, self.samples = given["result"], given["samples"]
        return {"model": "models:/one@champion"}


def confirmation(
    build: Callable[[Any], Any], task: Task, y: np.ndarray, objective: str, direction: str, folder: Path
) -> Confirmation:
    """Of a study with three trials, of which number 1 has the largest value and number 2 the smallest."""
    whole: Any = f"{direction}imize"
    study = optuna.create_study(direction=whole, study_name="rows")
    study.set_user_attr("identity", {"objective": [objective, direction], "budget": 1000})
    for units, value in ((5, 0.5), (6, 0.9), (7, 0.1)):
        known = keras_tuner.HyperParameters()
        known.values["units"] = units
        attributes = {"hyperparameters": {"units": units}, "params": build(known).count_params(), "summary": ""}
        study.add_trial(optuna.trial.create_trial(value=value, user_attrs=attributes))
    space = keras_tuner.HyperParameters()
    build(space)

    class Space(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return build(hp)

    dataset = Dataset("rows", X[:100], y[:100], X[100:140], y[100:140], task, "fingerprint", 0)
    retraining = Retraining(Space(), space, dataset, objective, 2)
    publisher: Any = Kept()
    return Confirmation(study, retraining, "rows", folder, {"profile": "quick"}, publisher, "kerastuna confirm")


@pytest.fixture
def give_test_part(monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray], None]:
    """Gives the data set a test part with these targets."""

    def give(y: np.ndarray) -> None:
        monkeypatch.setattr(module, "has_test", lambda spec: True)
        monkeypatch.setattr(module, "load_test", lambda spec, like: (X[140:], y[140:]))

    return give


def test_one_sigmoid_gets_the_figures_that_keras_gives_it(give_test_part: Any, tmp_path: Path) -> None:
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    give_test_part(TWO)
    given: Any = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    record: Any = confirm_study(given, top=2, seeds=[1, 2], again=False)
    assert record == champion_of(given.study)
    assert record["answers"] == {"width": 1, "meaning": "the probability of class 1"}
    assert record["direction"] == "max"
    assert record["test"]["int8"] is record["validation"]["int8"] is None  # it was not asked for
    test, kept = record["test"], given.publisher
    assert test["values"][0] == pytest.approx(kept.model.evaluate(X[140:], TWO[140:], verbose=0)[1])
    said = (kept.model.predict(X[140:], verbose=0)[:, 0] > 0.5).astype(int)
    for entry in test["per_class"]:
        of_class = TWO[140:] == entry["label"]
        assert entry["images"] == of_class.sum()
        assert entry["accuracy"] == pytest.approx((said[of_class] == entry["label"]).mean())
    assert [opening.purpose for opening in openings(given.study)] == ["the confirmed winner's accuracy"]
    assert test["fingerprint"] == fingerprint(X[140:], TWO[140:])
    drawn = champion_figures(record, samples=kept.samples, targets=kept.result.targets, answers=kept.result.answers)
    counts = np.zeros((2, 2), int)
    for text in drawn.drawn["confusion_matrix"].axes[0].texts:
        guess, true = map(int, text.get_position())
        counts[true, guess] = int(text.get_text())
    expected = np.zeros((2, 2), int)
    np.add.at(expected, (TWO[140:], said), 1)
    np.testing.assert_array_equal(counts, expected)
    again = confirm_study(given, top=2, seeds=[1, 2], again=False)
    assert again == record
    assert len(openings(given.study)) == 1


def test_int8_is_measured_on_validation_and_test_samples_within_the_one_opening(
    give_test_part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, jobs: Any) -> Any:
        """Runs the jobs, and keeps what it sees: how often the test set was opened by then, and the files."""
        ((_, given_files),) = jobs.values()
        processes.append((name.rpartition(".")[2], len(openings(given.study))))
        if "calibration" in given_files:
            calibrated.append(np.load(given_files["calibration"]))
        else:
            files.append(Path(shutil.copy(given_files["path"], tmp_path / f"{len(files)}.tflite")))
        return run_jobs(name, jobs)

    processes: list[tuple[str, int]] = []
    calibrated: list[np.ndarray] = []
    files: list[Path] = []
    monkeypatch.setattr(int8_models, "run_jobs", run)
    give_test_part(NUMBERS)
    build = network(2, None, "mse", "mae")
    given: Any = confirmation(build, Regression(2), NUMBERS, "val_mae", "min", tmp_path)
    given = replace(given, retraining=replace(given.retraining, int8=True))
    record: Any = confirm_study(given, top=1, seeds=[1], again=False)
    assert processes == [("writers", 0), ("runtimes", 0), ("writers", 0), ("runtimes", 1)]
    for one in calibrated:
        np.testing.assert_array_equal(one, X[:100])  # the training part alone
    for part, file, rows in (("validation", files[0], slice(100, 140)), ("test", files[1], slice(140, None))):
        mae = np.abs(answers_of_int8_file(file, X[rows]) - NUMBERS[rows]).mean()
        told = record[part]["int8"]
        assert (told["metric"], told["values"]) == ("mae", [pytest.approx(mae, rel=1e-5)])
        assert told["mean"] == told["values"][0]
        assert told["float_mean"] == pytest.approx(record[part]["mean"], rel=1e-4)
        assert told["change"] == told["mean"] - told["float_mean"] != 0
    assert record["candidates"][0]["int8"] == record["validation"]["int8"]


def test_without_the_packages_for_int8_there_is_a_champion_and_the_reason(
    give_test_part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_models, "missing_packages", lambda names: "needs what is not there")
    give_test_part(TWO)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given: Any = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    record: Any = confirm_study(
        replace(given, retraining=replace(given.retraining, int8=True)), top=1, seeds=[1], again=False
    )
    assert record["validation"]["int8"] == record["test"]["int8"] == {"missing": "needs what is not there"}


@pytest.mark.parametrize(("objective", "measured"), [("val_mae", "mae"), ("val_loss", "loss")])
def test_of_numbers_the_smallest_error_wins(give_test_part: Any, tmp_path: Path, objective: str, measured: str) -> None:
    give_test_part(NUMBERS)
    build = network(2, None, "mse", "mae")
    given: Any = confirmation(build, Regression(2, ("sum", "first")), NUMBERS, objective, "min", tmp_path)
    record: Any = confirm_study(given, top=2, seeds=[1, 2], again=False)
    assert {candidate["trial"] for candidate in record["candidates"]} == {0, 2}  # the two smallest of the search
    means = [candidate["mean"] for candidate in record["candidates"]]
    assert record["validation"]["mean"] == means[0] == min(means)
    assert record["winners_curse"] == record["search_value"] - means[0]
    assert given.publisher.rank == (means[0],)
    assert (record["direction"], record["data"]["numbers"], record["data"]["names"]) == ("min", 2, ["sum", "first"])
    test = record["test"]
    reported = given.publisher.model.evaluate(X[140:], NUMBERS[140:], verbose=0, return_dict=True)
    assert test["metric"] == measured
    assert test["values"][0] == pytest.approx(reported[measured], rel=1e-4)
    assert [one["name"] for one in test["per_number"]] == ["sum", "first"]
    assert openings(given.study)[0].purpose == f"the confirmed winner's {measured}"


def test_answers_that_cannot_be_read_are_refused_before_the_test_set_is_opened(
    give_test_part: Any, tmp_path: Path
) -> None:
    give_test_part(TWO)
    build = network(1, None, keras.losses.BinaryCrossentropy(from_logits=True), "accuracy")
    given = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    with pytest.raises(SpaceError, match="read as the logit of class 1") as caught:
        confirm_study(given, top=1, seeds=[1], again=False)
    assert "\n" not in str(caught.value)
    assert not openings(given.study)
    assert champion_of(given.study) is None
    assert not list(tmp_path.rglob("*.keras"))


def test_a_fit_that_changes_the_samples_is_refused_before_the_test_set_is_opened(
    give_test_part: Any, tmp_path: Path
) -> None:
    built = network(1, "sigmoid", "binary_crossentropy", "accuracy")

    class Turned(keras_tuner.HyperModel):
        """Its networks are right for negated samples alone."""

        def build(self, hp: Any) -> Any:
            return built(hp)

        def fit(self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> Any:
            return model.fit(-x, y, validation_data=(-validation_data[0], validation_data[1]), **kwargs)

    give_test_part(TWO)
    given = confirmation(built, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    turned = replace(given, retraining=replace(given.retraining, hypermodel=Turned(), epochs=12))
    with pytest.raises(SpaceError, match=r"fit measured accuracy .* given them as they are, has"):
        confirm_study(turned, top=1, seeds=[1], again=False)
    assert not openings(given.study)


def test_a_test_part_that_cannot_be_read_is_no_opening(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreadable(spec: str, like: Dataset) -> Any:
        assert [opening.opening for opening in openings(given.study)] == [1]  # it is written down before
        raise DataError("an unknown class")

    monkeypatch.setattr(module, "has_test", lambda spec: True)
    monkeypatch.setattr(module, "load_test", unreadable)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    with pytest.raises(DataError, match="an unknown class"):
        confirm_study(given, top=1, seeds=[1], again=False)
    assert openings(given.study) == []


def test_a_model_that_keras_cannot_write_is_one_line(tmp_path: Path) -> None:
    class Own(keras.Model):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Own(2)
    model(np.ones((1, 3), np.float32))
    with (
        pytest.raises(SearchFailed, match=r"the champion cannot be saved .*get_config") as refused,
        saved_model(model, tmp_path / "champion.keras"),
    ):
        pass
    assert len(str(refused.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_replaces_the_one_before_it_where_the_test_goes_well(tmp_path: Path) -> None:
    images = np.ones((2, 4, 4, 1), np.float32)
    path = tmp_path / "champion.keras"
    (tmp_path / "champion.partial.keras").write_text("of a process that was killed")
    for units in (2, 3):
        model: Any = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(units)])
        with saved_model(model, path) as new:
            assert new != path
    with pytest.raises(DataError), saved_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), path):
        raise DataError("a test part that cannot be read")
    loaded: Any = keras.models.load_model(path)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-6)
    assert [file.name for file in path.parent.iterdir()] == ["champion.keras"]


def test_a_confirmation_that_another_process_took_over_opens_and_publishes_nothing(
    give_test_part: Any, tmp_path: Path
) -> None:
    def taken_over() -> None:
        raise StudyError("another process took over")

    give_test_part(TWO)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    with pytest.raises(StudyError, match="took over"):
        confirm_study(replace(given, check=taken_over), top=1, seeds=[1], again=False)
    assert openings(given.study) == []
    assert champion_of(given.study) is None
    assert list(tmp_path.rglob("*.keras")) == []


def test_the_record_knows_its_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "has_test", lambda spec: False)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    given.study.set_user_attr("study_id", {"id": "a" * 32, "born": True})
    record = confirm_study(given, top=1, seeds=[1], again=False)
    path = model_path_of(given.study, record, tmp_path, given.command)
    assert str(path) == record["model_path"]
    assert (record["study_id"], record["model_sha256"]) == ("a" * 32, sha256(path.read_bytes()).hexdigest())
    path.write_bytes(b"the model of another confirmation")
    with pytest.raises(InputError, match=r"is another model than the champion of study 'rows'.* --again"):
        model_path_of(given.study, record, tmp_path, given.command)


class Counted(ConfirmationObserver):
    """Counts the trainings that are done, as a display does."""

    def __init__(self) -> None:
        self.done = self.total = self.spared = self.trained = 0
        self.kept: dict[tuple[int, int], float] = {}

    def confirmation_started(self, study: str, done: int, total: int) -> None:
        self.__init__()
        self.done, self.total = done, total

    def training_kept(self, trial: int, seed: int, value: float) -> None:
        self.kept[trial, seed] = value

    def training_spared(self, trial: int, seed: int) -> None:
        self.spared += 1
        self.done += 1

    def training_ended(self, trial: int, seed: int, value: float | None) -> None:
        self.trained += 1
        self.done += 1


def test_a_confirmation_that_finds_its_champion_is_done_and_says_why_int8_is_not_known(
    give_test_part: Any, tmp_path: Path
) -> None:
    give_test_part(TWO)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given: Any = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    given = replace(given, retraining=replace(given.retraining, observer=Counted()))
    record = confirm_study(given, top=2, seeds=[1, 2], again=False)
    counted = given.retraining.observer
    assert counted.done == counted.total == counted.trained == 6
    assert counted.kept == {}
    assert confirm_study(given, top=2, seeds=[1, 2], again=False) == record
    assert (counted.done, counted.total) == (6, 6)
    assert (counted.trained, counted.spared) == (0, 0)  # all six were done at the beginning
    values = {candidate["trial"]: candidate["values"] for candidate in record["candidates"]}
    assert counted.kept == {(trial, seed): values[trial][seed - 1] for trial in (0, 1) for seed in (1, 2)}
    with_int8 = replace(given, retraining=replace(given.retraining, int8=True))
    found: Any = confirm_study(with_int8, top=2, seeds=[1, 2], again=False)
    assert found["validation"].pop("int8") == {
        "missing": "the champion was confirmed without it; --again measures the final models on the test set, and "
        "opens it once more"
    }
    assert {**found, "validation": {**found["validation"], "int8": None}} == record == champion_of(given.study)


def test_results_that_are_kept_are_told_where_a_confirmation_goes_on(give_test_part: Any, tmp_path: Path) -> None:
    give_test_part(TWO)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given: Any = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    counted = Counted()
    given = replace(given, retraining=replace(given.retraining, observer=counted))
    record: Any = confirm_study(given, top=1, seeds=[1], again=False)
    confirm_study(given, top=1, seeds=[1, 2], again=True)
    assert counted.kept == {(1, 1): record["validation"]["values"][0]}
    assert (counted.done, counted.total, counted.trained) == (4, 4, 3)
    results = given.study.user_attrs[CONFIRMATIONS]
    given.study.set_user_attr(CONFIRMATIONS, {"1": {"2": results["1"]["2"]}})  # as if that of seed 1 were lost
    confirm_study(given, top=1, seeds=[1, 2], again=False)
    assert list(counted.kept) == [(1, 2)]
    assert (counted.done, counted.trained, counted.spared) == (4, 1, 2)  # the champion has the final models
    confirm_study(given, top=1, seeds=[1, 2], again=True)  # which trains them anew
    assert (counted.done, counted.trained, counted.spared) == (4, 2, 0)


def test_only_a_better_mean_takes_the_place_of_a_champion(give_test_part: Any, tmp_path: Path) -> None:
    give_test_part(TWO)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given: Any = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    counted = Counted()
    given = replace(given, retraining=replace(given.retraining, observer=counted))
    known = {number: {"1": {"value": value, "history": []}} for number, value in (("0", 0.8), ("1", 0.7))}
    given.study.set_user_attr(CONFIRMATIONS, known)
    record: Any = confirm_study(given, top=2, seeds=[1], again=False)
    assert record["trial"] == 0  # in the search, trial 1 was better
    assert confirm_study(given, top=1, seeds=[1], again=False) == record
    assert (counted.done, counted.total, counted.trained) == (3, 3, 0)
    confirm_study(given, top=1, seeds=[1, 2], again=True)
    assert set(counted.kept) == {(0, 1), (1, 1)}
    assert counted.trained == 4  # it is trained on the other seed, as trial 1, and there are two final models


def test_a_network_without_a_summary_is_told_by_its_hyperparameters(give_test_part: Any, tmp_path: Path) -> None:
    class Told(ConfirmationObserver):
        summaries: ClassVar[list[tuple[str, str]]] = []

        def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
            self.summaries.append((purpose, summary))

    give_test_part(TWO)
    build = network(1, "sigmoid", "binary_crossentropy", "accuracy")
    given: Any = confirmation(build, Classification(2), TWO, "val_accuracy", "max", tmp_path)
    given = replace(given, retraining=replace(given.retraining, observer=Told()))
    record = confirm_study(given, top=1, seeds=[1], again=False)
    assert Told.summaries == [("confirm", "units=6"), ("final", "units=6")]
    assert record["summary"] == record["candidates"][0]["summary"] == "units=6"
