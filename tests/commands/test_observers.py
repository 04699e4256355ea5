"""The display of a confirmation, also one with several trainings at a time, and the trials that ended here."""

import io
import time

import pytest
from rich.console import Console

from kerastuna.search.commands.observers import ConfirmationProgress, EndedHere
from kerastuna.search.display.progress import PlainProgress, RichProgress
from kerastuna.search.study.goal import Quantity


def test_trainings_of_one_trial_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, file = [100.0], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = PlainProgress(file=file, clock=lambda: now[0])
    observer = ConfirmationProgress(progress, Quantity("val_accuracy", "max"), "quick", epochs=1)
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
    lines = file.getvalue().splitlines()
    assert lines[0] == "study confirmation of s (quick): 4 trials of 1 epoch, 1 done"
    told = "trial 4 with seed 77 (2/4): val_accuracy 0.8000 after 1 epoch in 3 s; best 0.8000 (trial 4 with seed 77)"
    assert told in lines[2]
    assert lines[2].endswith("| fresh seed: wide")
    assert "trial 4 with seed 78 (3/4): val_accuracy 0.7000 after 0 epochs in 4 s" in lines[3]
    assert "trial 4 with seed 77 (4/4): final model trained after 0 epochs" in lines[4]
    assert lines[4].endswith("| final model: wide")


def test_a_long_epoch_is_shown_at_the_training_it_is_of() -> None:
    progress = RichProgress(console=Console(file=io.StringIO(), width=100), clock=lambda: now[0])
    now = [100.0]
    observer = ConfirmationProgress(progress, Quantity("val_accuracy", "max"), "quick", epochs=3)
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
