"""Workers on the study of a tuner: trials are trained once, observers are told in the process that searches."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from tuner_support import OBJECTIVE, Function, outcomes_of_workers

from kerastuna.search import InputError, OptunaTuner, SearchObserver
from kerastuna.search.study.attributes import WORKER, is_trained
from kerastuna.search.study.liveness import this_worker
from kerastuna.search.study.records import full_record
from kerastuna.search.tuning import parallel
from kerastuna.search.tuning.parallel import (
    WorkerSearch,
    keras_settings,
    use_keras_settings,
    worker_observer,
    worker_pool,
)

cloudpickle.register_pickle_by_value(sys.modules[__name__])
cloudpickle.register_pickle_by_value(sys.modules["tuner_support"])


UNITS = 10**6  # so many that no trial is proposed twice by chance


class Listener(SearchObserver):
    """Notes what it is told, and keeps an attribute with every trial. It cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.told: list[tuple[str, Any]] = []

    def search_started(self, study: Any, settings: Any) -> None:
        self.told.append(("search", os.getpid()))

    def trial_started(self, record: Any) -> dict[str, Any]:
        self.told.append(("trial", record["number"]))
        return {"kept": record["number"] * 10}

    def batches_done(self, number: int, epoch: int, done: int, batches: int | None) -> None:
        self.told.append(("batches", (number, epoch, done, batches)))

    def trial_ended(self, record: Any) -> None:
        self.told.append(("end", (record["number"], record["value"])))


def score(hp: Any) -> float:
    return hp.Int("units", 1, UNITS) / UNITS


def units() -> keras_tuner.HyperParameters:
    """The space of `score`, known before the first trial."""
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, UNITS)
    return hp


def test_workers_share_a_study_and_tell_the_process_that_searches(tmp_path: Path):
    listener = Listener()
    tuner = Function(score, tmp_path, max_trials=6, observers=[listener])
    tuner.search(verbose=0, workers=2)
    study = tuner.oracle.study
    trained = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert len(trained) == 6
    assert os.getpid() not in {trial.user_attrs[WORKER]["pid"] for trial in trained}
    assert {trial.user_attrs["kept"] for trial in trained} == {trial.number * 10 for trial in trained}
    assert listener.told[0] == ("search", os.getpid())
    assert sorted(told[1] for told in listener.told if told[0] == "trial") == [trial.number for trial in trained]
    assert dict(told[1] for told in listener.told if told[0] == "end") == {
        trial.number: trial.value for trial in trained
    }
    best = max(trained, key=lambda trial: trial.value or 0.0)
    assert tuner.get_best_hyperparameters()[0].values == best.user_attrs["hyperparameters"]
    assert worker_observer() is None


def test_a_finished_study_needs_no_worker(tmp_path: Path):
    tuner = Function(score, tmp_path, max_trials=1)
    tuner.search(verbose=0)
    tuner.search(verbose=0, workers=2)
    assert len(tuner.oracle.study.trials) == 1


def test_a_worker_that_is_killed_loses_no_trial(tmp_path: Path):
    mark = tmp_path / "killed"

    def fatal(hp: Any) -> float:
        with contextlib.suppress(FileExistsError):
            mark.mkdir()
            os.kill(os.getpid(), 9)
        return score(hp)

    listener = Listener()
    tuner = Function(fatal, tmp_path, max_trials=4, observers=[listener])
    tuner.search(verbose=0, workers=2)
    found = outcomes_of_workers(tuner.oracle.study)
    assert found == {("COMPLETE", None): 4, ("FAIL", "interrupted"): 1}
    failed = next(trial for trial in tuner.oracle.study.trials if trial.state.name == "FAIL")
    again = [trial for trial in tuner.oracle.study.trials if trial.params == failed.params]
    assert [trial.state.name for trial in again[:2]] == ["FAIL", "COMPLETE"]
    assert ("end", (failed.number, None)) in listener.told  # so that MLflow ends its run


def test_an_error_that_ends_a_search_ends_that_of_all_workers(tmp_path: Path):
    def wrong(hp: Any) -> float:
        hp.Int("units", 1, UNITS)
        raise ValueError("never works")

    tuner = Function(wrong, tmp_path, max_trials=20, max_consecutive_failed_trials=2)
    with pytest.raises(RuntimeError, match="Number of consecutive failures exceeded"):
        tuner.search(verbose=0, workers=2)
    assert not any(trial.state.name == "RUNNING" for trial in tuner.oracle.study.trials)


@pytest.mark.parametrize("storage", [None, "sqlite:///:memory:"])
def test_a_study_in_memory_cannot_be_shared(tmp_path: Path, storage: str | None):
    given = optuna.storages.InMemoryStorage() if storage is None else storage
    tuner = Function(score, tmp_path, storage=given)
    with pytest.raises(InputError, match="the study is in the memory of this process"):
        tuner.search(verbose=0, workers=2)


@pytest.mark.parametrize("storage", ["journal", "sqlite:///{}/study.db"])
def test_a_study_in_a_file_is_for_workers_of_its_machine(tmp_path: Path, storage: str):
    given = storage.format(tmp_path) if "://" in storage else tmp_path / storage
    relay = Function(score, tmp_path, storage=given).oracle.relay()
    relay.check_storage(all_here=True)
    with pytest.raises(InputError, match="the study is in a file on this machine, and the workers are on several"):
        relay.check_storage(all_here=False)


class Searched:
    """Stands for a tuner in a worker."""

    def search(self, **given: Any) -> None:
        self.given.update(given)

    given: dict[str, Any] = {}  # noqa: RUF012  what the last one was given


class Asked:
    """Stands for the channel to the process that gave the task."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def ask(self, name: str) -> float:
        self.names.append(name)
        return 60.0


def test_a_worker_elsewhere_has_another_clock_and_other_files(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)  # its clock is years behind
    task = WorkerSearch(Searched, (), {}, (), {"epochs": 3}, keras_settings(), has_deadline=True)
    with pytest.raises(InputError, match=f"in a file on 'elsewhere', and a worker runs on '{socket.gethostname()}'"):
        replace(task, host="elsewhere")(Asked())  # type: ignore[arg-type]
    assert Searched.given == {}
    channel = Asked()
    replace(task, host=socket.gethostname())(channel)  # type: ignore[arg-type]
    assert channel.names == ["seconds_left"]
    assert Searched.given.pop("deadline") == pytest.approx(time.monotonic() + 60, abs=5)
    assert Searched.given == {"epochs": 3}


@pytest.mark.parametrize(("seconds", "trained"), [(3600, 2), (-1, 0)])
def test_workers_begin_nothing_after_the_deadline(seconds: float, trained: int, tmp_path: Path):
    tuner = Function(score, tmp_path, max_trials=2)
    tuner.search(verbose=0, workers=2, deadline=time.monotonic() + seconds)
    assert [trial.state.name for trial in tuner.oracle.study.trials] == ["COMPLETE"] * trained


@pytest.mark.parametrize("workers", [0, -1, "some", 1.5])
def test_numbers_of_workers_that_are_refused(tmp_path: Path, workers: Any):
    with pytest.raises(InputError, match="give a whole number of at least 1, or auto"):
        Function(score, tmp_path).search(verbose=0, workers=workers)


def test_what_cannot_be_pickled_is_refused(tmp_path: Path):
    lock = threading.Lock()
    tuner = Function(lambda hp: score(hp) + lock.locked(), tmp_path)
    with pytest.raises(InputError, match=r"cannot be pickled .*lock.*search with one worker"):
        tuner.search(verbose=0, workers=2)


def build(hp: Any) -> Any:
    made: Any = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 40), "relu")])
    made.add(keras.layers.Dense(2, "softmax"))
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def test_networks_are_trained_by_workers_as_alone_and_their_weights_are_found(tmp_path: Path, capsys: Any):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(64, 4)).astype("float32"), draw.integers(0, 2, 64)
    values: list[dict[str, float]] = []
    for workers in (1, 2):
        tuner = OptunaTuner(build, OBJECTIVE, 3, seed=3, directory=tmp_path / str(workers), budget=150, sampler="qmc")
        tuner.search(x, y, validation_data=(x, y), epochs=2, workers=workers, verbose=2 if workers == 2 else 0)
        trained = list(filter(is_trained, tuner.oracle.study.trials))
        assert len(trained) == 3
        values.append({str(trial.params): trial.user_attrs["history"][-1]["loss"] for trial in trained})
        assert tuner.get_best_models()[0].predict(x, verbose=0).shape == (64, 2)
    shared = values[0].keys() & values[1].keys()
    assert shared
    for params in shared:  # the seed of a training depends on the values alone
        assert values[0][params] == pytest.approx(values[1][params], rel=1e-4)
    assert "3 of 3 trials done" in capsys.readouterr().err


def build_one_of_two(hp: Any) -> Any:
    made: Any = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 2), "relu")])
    made.add(keras.layers.Dense(2, "softmax"))
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return made


def test_a_search_is_shown_without_a_number_of_epochs_or_trials(tmp_path: Path, capsys: Any):
    x, y = np.zeros((8, 4), "float32"), np.zeros(8, int)
    lines: list[list[str]] = []
    with worker_pool(2) as pool:
        for trials, options in ((2, {"deadline": time.monotonic() + 600}), (None, {"epochs": 1}), (None, {})):
            name = f"{trials}{len(options)}"
            tuner = OptunaTuner(
                build_one_of_two, OBJECTIVE, trials, seed=0, directory=tmp_path, project_name=name, sampler="random"
            )
            tuner.search(x, y, validation_data=(x, y), workers=pool, **options)  # ends with the space: it has 2 points
            assert [trial.state.name for trial in filter(is_trained, tuner.oracle.study.trials)] == ["COMPLETE"] * 2
            lines.append(capsys.readouterr().err.splitlines())
    starts = [next(line for line in told if line.startswith("study ")) for told in lines]
    assert starts == ["study 21: 2 trials, stops after 10 min", "study None1: trials of 1 epoch", "study None0"]
    ends = [told[-1].split(": ")[1].split(",")[0] for told in lines]
    assert ends == ["2 of 2 trials done", "2 trials done", "2 trials done"]


def test_settings_of_keras_reach_a_worker():
    before = keras_settings()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        changed = keras_settings()
        use_keras_settings(before)
        assert keras.config.dtype_policy().name == "float32"
        use_keras_settings(changed)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        use_keras_settings(before)


def test_relay_hands_on_only_what_it_knows(tmp_path: Path):
    listener = Listener()
    tuner = Function(score, tmp_path, observers=[listener])
    relay = tuner.oracle.relay()
    relay.event(0, "batches_done", (3, 1, 20, 90))
    assert listener.told == [("batches", (3, 1, 20, 90))]
    with pytest.raises(KeyError):
        relay.event(0, "unknown", ())


def test_the_end_of_a_trial_is_told_once_though_its_worker_told_it_before_it_died(tmp_path: Path):
    listener = Listener()
    oracle = Function(score, tmp_path, observers=[listener]).oracle
    relay, dead = oracle.relay(), {**this_worker(), "pid": 2**22 - 3, "started": "1"}
    attributes = {WORKER: dead, "hyperparameters": {}}
    running = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs=attributes)
    number = oracle.stored.add(running)
    relay.event(0, "started", (full_record(oracle.stored.trial(number)),))
    oracle.study.tell(number, 0.5)
    relay.bury()
    relay.event(0, "ended", (full_record(oracle.stored.trial(number)),))  # it was still in the pipe
    assert [value for kind, value in listener.told if kind == "end"] == [(number, 0.5)]


def test_a_worker_whose_trial_hangs_is_ended_and_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, "HANG_SECONDS", 0.5)
    mark = tmp_path / "hung"

    def hangs_once(hp: Any) -> float:
        with contextlib.suppress(FileExistsError):
            mark.symlink_to(str(os.getpid()))
            time.sleep(600)
        return score(hp)

    listener = Listener()
    tuner = Function(hangs_once, tmp_path, 4, observers=[listener], trial_timeout=1.0, hyperparameters=units())
    tuner.search(verbose=0, workers=2)
    found = outcomes_of_workers(tuner.oracle.study)
    assert found == {("COMPLETE", None): 4, ("FAIL", "trial_timeout"): 1}
    failed = next(trial for trial in tuner.oracle.study.trials if trial.state.name == "FAIL")
    assert failed.user_attrs["message"] == "the trial took longer than 1 s, its limit"
    assert ("end", (failed.number, None)) in listener.told
    assert not any(trial.params == failed.params for trial in tuner.oracle.study.trials[failed.number + 1 :])
    assert not Path(f"/proc/{os.readlink(mark)}").exists()


def test_a_point_that_kills_its_process_is_given_up_after_three_times(tmp_path: Path):
    marks = tmp_path / "marks"
    marks.mkdir()

    def fatal(hp: Any) -> float:
        units = hp.Int("units", 1, UNITS)
        with contextlib.suppress(FileExistsError):
            (tmp_path / "fatal").symlink_to(str(units))  # the first point
        if os.readlink(tmp_path / "fatal") == str(units):
            (marks / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        return score(hp)

    listener = Listener()
    tuner = Function(fatal, tmp_path, 4, observers=[listener], hyperparameters=units())
    tuner.search(verbose=0, workers=2)
    found = outcomes_of_workers(tuner.oracle.study)
    assert found == {("COMPLETE", None): 4, ("FAIL", "interrupted"): 2, ("FAIL", "process_died"): 1}
    failed = [trial for trial in tuner.oracle.study.trials if trial.state.name == "FAIL"]
    assert len({str(trial.params) for trial in failed}) == 1
    assert failed[-1].user_attrs["message"] == "its process died 3 times"
    assert len(list(marks.iterdir())) == 3
    assert {number for what, (number, *_) in [t for t in listener.told if t[0] == "end"]} >= {t.number for t in failed}
