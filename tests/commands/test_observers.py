"""The display of a confirmation, also one with several trainings at a time, and the trials that ended here."""

import io
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from rich.console import Console

from kerastuna.search.champion.retraining import ConfirmationObserver
from kerastuna.search.commands.observers import ConfirmationProgress, ConfirmationRecorder, EndedHere
from kerastuna.search.display.progress import PlainProgress, RichProgress
from kerastuna.search.study.goal import BestMetric, Quantity, SmallestNetwork
from kerastuna.search.tracking.inputs import DataPart
from kerastuna.search.tracking.store import default_tracking_uri
from kerastuna.search.tracking.tracker import Tracker

ACCURACY = Quantity("val_accuracy", "max")


def test_trainings_of_one_trial_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, file = [100.0], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = PlainProgress(file=file, clock=lambda: now[0])
    observer = ConfirmationProgress(progress, BestMetric(ACCURACY), lambda trial: {}, "quick", epochs=1)
    observer.confirmation_started("s", done=1, total=4)
    observer.training_started(4, 77, "wide", "confirm")
    observer.training_started(4, 78, "wide", "confirm")
    now[0] += 3.0
    observer.epoch_ended(4, 77, 1, {"val_accuracy": 0.8, "seconds": 2.0})
    observer.training_ended(4, 77, 0.8)
    now[0] += 1.0
    observer.training_ended(4, 78, 0.7)
    observer.training_started(4, 77, "wide", "final")
    observer.training_ended(4, 77, None)
    observer.confirmation_ended()
    observer.confirmation_started("s", done=3, total=4)
    observer.training_spared(4, 77)
    observer.confirmation_ended()
    lines = file.getvalue().splitlines()
    assert lines[0] == "study confirmation of s (quick): 4 trials of 1 epoch, 1 done"
    told = "trial 4 with seed 77 (2/4): val_accuracy 0.8000 after 1 epoch in 3 s; best 0.8000 (trial 4 with seed 77)"
    assert told in lines[2]
    assert lines[2].endswith("| fresh seed: wide")
    assert "trial 4 with seed 78 (3/4): val_accuracy 0.7000 after 0 epochs in 4 s" in lines[3]
    assert "trial 4 with seed 77 (4/4): final model trained after 0 epochs" in lines[4]
    assert lines[4].endswith("| final model: wide")
    assert lines[7] == "trial 4 with seed 77 (4/4): final model kept"
    assert "confirmation of s ended after 0 s: 4 of 4 trials done" in lines[8]


def test_the_best_training_is_told_by_the_goal_and_those_that_are_kept_count() -> None:
    file = io.StringIO()
    progress, params = PlainProgress(file=file, clock=lambda: 0.0), {4: 900, 5: 700, 6: 800}
    goal = SmallestNetwork(ACCURACY, "params", 0.5)
    observer = ConfirmationProgress(progress, goal, lambda trial: {"params": params[trial]}, "quick", epochs=1)
    observer.confirmation_started("s", done=2, total=3)
    observer.training_kept(4, 77, 0.9)
    observer.training_kept(5, 77, 0.6)
    observer.training_started(6, 77, "wide", "confirm")
    observer.training_ended(6, 77, 0.8)
    observer.confirmation_ended()
    best = "best 0.6000 (trial 5 with seed 77, reaches 0.5 with 700 parameters)"
    first, ended, last = file.getvalue().splitlines()
    assert first == "study confirmation of s (quick): 3 trials of 1 epoch, 2 done"
    assert best in ended
    assert last.endswith("3 of 3 trials done, 0 stopped early, 0 failed; " + best.replace("best", "best val_accuracy"))


def test_a_long_epoch_is_shown_at_the_training_it_is_of() -> None:
    progress = RichProgress(console=Console(file=io.StringIO(), width=100), clock=lambda: now[0])
    now = [100.0]
    observer = ConfirmationProgress(progress, BestMetric(ACCURACY), lambda trial: {}, "quick", epochs=3)
    observer.confirmation_started("s", done=1, total=4)
    observer.training_started(4, 77, "wide", "confirm")
    observer.training_started(4, 78, "wide", "confirm")
    now[0] += 20.0
    observer.batches_done(4, 78, epoch=1, done=30, batches=90)
    out = Console(file=io.StringIO(), width=100)
    with out.capture() as shown:
        out.print(progress)
    lines = [line.rstrip() for line in shown.get().splitlines() if line.startswith("epoch")]
    assert lines[0].endswith("0/3  epoch 1: 20 s")
    assert lines[1].endswith("0/3  epoch 1: batch 30/90, 20 s")


def test_the_trials_that_ended_here() -> None:
    observer = EndedHere()
    observer.trial_started({"number": 3})
    observer.trial_started({"number": 5})
    observer.trial_ended({"number": 5})
    assert observer.numbers == {5}


def test_the_trainings_of_a_confirmation_are_recorded_and_told_on(tmp_path: Path) -> None:
    class Other(ConfirmationObserver):
        def __init__(self) -> None:
            self.told: list[tuple[object, ...]] = []

        def confirmation_started(self, study: str, done: int, total: int) -> None:
            self.told.append((study, done, total))

        def confirmation_ended(self) -> None:
            self.told.append(("end",))

        def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
            self.told.append((trial, seed, summary, purpose))

        def epoch_ended(self, trial: int, seed: int, epoch: int, metrics: object) -> None:
            self.told.append((trial, seed, epoch))

        def batches_done(self, trial: int, seed: int, epoch: int, done: int, batches: int | None) -> None:
            self.told.append((trial, seed, epoch, done, batches))

        def training_kept(self, trial: int, seed: int, value: float) -> None:
            self.told.append((trial, seed, value))

        def training_spared(self, trial: int, seed: int) -> None:
            self.told.append((trial, seed))

        def training_ended(self, trial: int, seed: int, value: float | None) -> None:
            self.told.append((trial, seed, value))

    uri = default_tracking_uri(tmp_path)
    tracker = Tracker(uri, "confirmed", warn=pytest.fail)
    tracker.start_study("one", {}, {})
    observer = ConfirmationRecorder(tracker, {"device": "cpu"}, [DataPart("d", "training", "ab", 3)], other := Other())
    observer.confirmation_started("one", 0, 2)
    observer.training_kept(3, 77, 0.5)
    observer.training_started(4, 77, "wide", "confirm")
    observer.batches_done(4, 77, 1, 20, None)
    observer.epoch_ended(4, 77, 1, {"val_accuracy": 0.8, "seconds": 2.0})
    observer.training_ended(4, 77, 0.8)
    observer.training_started(4, 78, "wide", "final")
    observer.training_spared(4, 79)
    observer.confirmation_ended()
    observer.close()
    assert other.told == [
        ("one", 0, 2),
        (3, 77, 0.5),
        (4, 77, "wide", "confirm"),
        (4, 77, 1, 20, None),
        (4, 77, 1),
        (4, 77, 0.8),
        (4, 78, "wide", "final"),
        (4, 79),
        ("end",),
    ]
    client = MlflowClient(uri)
    runs = {run.info.run_name: run for run in client.search_runs([tracker.experiment_id])}
    assert runs["confirm-0004-seed-77"].data.metrics == {"val_accuracy": 0.8, "epoch_seconds": 2.0}
    assert runs["confirm-0004-seed-77"].data.tags["architecture"] == "wide"
    inputs: Any = runs["confirm-0004-seed-77"].inputs
    assert inputs.dataset_inputs[0].dataset.name == "d training"
    assert runs["confirm-0004-seed-77"].info.status == "FINISHED"
    assert runs["final-0004-seed-78"].info.status == "FAILED"  # it did not end


def test_the_run_of_a_training_that_diverged_is_failed(tmp_path: Path) -> None:
    tracker = Tracker(default_tracking_uri(tmp_path), "confirmed", warn=pytest.fail)
    tracker.start_study("one", {}, {})
    observer = ConfirmationRecorder(tracker, {}, [], ConfirmationObserver())
    for trial, value in ((4, float("nan")), (5, 0.8)):
        observer.training_started(trial, 77, "wide", "confirm")
        observer.training_ended(trial, 77, value)
    runs = MlflowClient(default_tracking_uri(tmp_path)).search_runs([tracker.experiment_id], "tags.purpose = 'confirm'")
    assert {run.info.run_name: run.info.status for run in runs} == {
        "confirm-0004-seed-77": "FAILED",
        "confirm-0005-seed-77": "FINISHED",
    }
