"""The display as an observer of a search, also one with several trials at a time."""

import io
import time
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner, NopPruner, ThresholdPruner
from optuna.trial import TrialState
from rich.console import Console

from kerastuna.search.display.progress import PlainProgress, RichProgress
from kerastuna.search.display.search_observer import ProgressObserver
from kerastuna.search.study.attributes import REASON, RETRY_OF
from kerastuna.search.study.events import SearchStatus
from kerastuna.search.study.reasons import INTERRUPTED

SETTINGS = {"max_trials": 4, "epochs": 2}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a list of one number."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def file() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(file: io.StringIO, clock: list[float]) -> PlainProgress:
    return PlainProgress(file=file, clock=lambda: clock[0])


def study_with(*values: float, goal: dict[str, Any] | None = None) -> optuna.Study:
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), study_name="s", direction="maximize")
    study.set_user_attr("identity", {"objective": ["val_accuracy", "max"], "goal": goal})
    for value in values:
        study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=value, user_attrs={"params": 1}))
    return study


def started(number: int, summary: str) -> dict[str, Any]:
    return {"number": number, "summary": summary, "params": 1234}


def ended(number: int, value: float | None, state: str = "COMPLETE", reason: str | None = None) -> dict[str, Any]:
    return {"number": number, "state": state, "reason": reason, "value": value, "params": 1234}


def metrics(value: float, seconds: float) -> dict[str, float]:
    return {"val_accuracy": value, "seconds": seconds}


def test_a_long_epoch_is_shown(clock: list[float]) -> None:
    progress = RichProgress(console=Console(file=io.StringIO(), width=100), clock=lambda: clock[0])
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study_with(), SETTINGS)
    observer.trial_started(started(0, "wide"))
    clock[0] += 20.0
    observer.batches_done(0, 1, 30, 90)
    out = Console(file=io.StringIO(), width=100)
    with out.capture() as shown:
        out.print(progress)
    assert "0/2  epoch 1: batch 30/90, 20 s" in shown.get()


def test_trials_that_run_at_the_same_time(progress: PlainProgress, file: io.StringIO, clock: list[float]) -> None:
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study_with(), SETTINGS)
    observer.trial_started(started(0, "wide"))
    clock[0] += 5.0
    observer.trial_started(started(1, "deep"))
    observer.epoch_ended(1, 1, metrics(0.7, 4.0))
    observer.epoch_ended(0, 1, metrics(0.6, 6.0))
    clock[0] += 5.0
    observer.trial_ended(ended(0, 0.6))
    observer.epoch_ended(1, 2, metrics(0.8, 4.0))
    clock[0] += 5.0
    observer.trial_ended(ended(1, None, "FAIL", "out_of_memory"))
    observer.search_ended("FINISHED")
    lines = file.getvalue().splitlines()
    assert lines[0] == "study s (quick): 4 trials of 2 epochs"
    assert lines[2].startswith("trial 0 (1/4): val_accuracy 0.6000 after 1 epoch in 10 s; best 0.6000 (trial 0)")
    assert lines[2].endswith(" | wide | 1,234 params")
    assert lines[3].startswith("trial 1 (1/4): failed (out of memory) after 2 epochs in 10 s")
    assert lines[3].endswith(" | deep | 1,234 params")
    assert lines[4].startswith("s ended after 15 s: 1 of 4 trials done, 0 stopped early, 1 failed")


@pytest.mark.parametrize(
    ("pruner", "epochs", "told"),
    [
        (ThresholdPruner(upper=1), 2, True),
        (ThresholdPruner(upper=1), 1, False),  # after the last epoch there is nothing to stop
        (NopPruner(), 2, False),  # of a Pareto front, too
    ],
)
def test_early_stops_are_told_of_where_there_may_be_some(
    pruner: BasePruner, epochs: int, told: bool, progress: PlainProgress, file: io.StringIO
) -> None:
    study = study_with()
    study.pruner = pruner
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study, SETTINGS | {"epochs": epochs})
    observer.trial_started(started(0, "wide"))
    observer.epoch_ended(0, 1, metrics(0.7, 4.0))
    line = file.getvalue().splitlines()[1]
    assert line.startswith("one epoch takes about 4 s; 4 trials of ")
    assert line.endswith(", less where trials stop early") is told


def test_a_study_that_goes_on_is_shown_with_its_best(progress: PlainProgress, file: io.StringIO) -> None:
    ProgressObserver(progress, "full", timeout=600.0).search_started(study_with(0.5, 0.9), SETTINGS)
    assert file.getvalue() == (
        "study s (full): 4 trials of 2 epochs, 2 done, best val_accuracy 0.9000, stops after 10 min\n"
    )


def test_the_goal_of_the_study_decides_what_is_best(progress: PlainProgress, file: io.StringIO) -> None:
    study = study_with(goal={"minimize": "params", "reach": ["val_accuracy", 0.8]})
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study, SETTINGS)
    for number, value in ((0, 0.9), (1, 0.7)):
        observer.trial_started(started(number, ""))
        observer.trial_ended(ended(number, value))
    lines = file.getvalue().splitlines()
    assert "0.9000, reaches 0.8 with 1,234 parameters after" in lines[1]
    assert "0.7000, 0.1000 short of 0.8 after" in lines[2]
    assert "best 0.9000 (trial 0, reaches 0.8" in lines[2]


def test_trials_of_other_processes_count(progress: PlainProgress, file: io.StringIO, clock: list[float]) -> None:
    study = study_with()
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study, SETTINGS)

    def elsewhere(value: float) -> None:
        attributes = {"params": 1, "score": value}
        study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=value, user_attrs=attributes))

    def here(value: float) -> None:
        number = study.ask().number
        observer.trial_started(started(number, ""))
        for epoch in (1, 2):
            clock[0] += 10.0
            observer.epoch_ended(number, epoch, metrics(value, 10.0))
        study.tell(number, value)
        observer.trial_ended(ended(number, value))

    elsewhere(0.9)
    here(0.6)
    here(0.95)
    elsewhere(0.99)
    observer.search_ended("FINISHED")
    first, second, last = (line for line in file.getvalue().splitlines() if line.startswith(("trial ", "s ended")))
    assert first == (
        "trial 1 (2/4): val_accuracy 0.6000 after 2 epochs in 20 s; best 0.9000 (trial 0); about 40 s left | "
        "1,234 params"
    )
    assert second.startswith(
        "trial 2 (3/4): val_accuracy 0.9500 after 2 epochs in 20 s; best 0.9500 (trial 2); about 20 s"
    )
    assert last.startswith("s ended after 40 s: 4 of 4 trials done, ")
    assert last.endswith("best val_accuracy 0.9900 (trial 3)")


def test_a_search_that_failed_is_shown_without_asking_the_study(
    progress: PlainProgress, file: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study_with(0.5), SETTINGS)
    monkeypatch.delattr(optuna.Study, "get_trials")  # as where its server is gone
    observer.search_ended("FAILED")
    assert "s ended after 0 s: 1 of 4 trials done" in file.getvalue()


def test_refused_proposals_are_counted(progress: PlainProgress, file: io.StringIO) -> None:
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study_with(), SETTINGS)
    observer.proposal_refused({"number": 0, "reason": "infeasible", "summary": ""})
    observer.search_ended("FAILED")
    assert "skipped without training: 1 infeasible" in file.getvalue()


def begin(observer: ProgressObserver, study: optuna.Study) -> optuna.Trial:
    """The next trial of the study, begun here."""
    trial = study.ask()
    observer.trial_started(started(trial.number, ""))
    return trial


def test_trials_that_end_at_one_moment_are_counted_once(progress: PlainProgress, file: io.StringIO) -> None:
    study = study_with()
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study, SETTINGS)
    both = [begin(observer, study) for _ in range(2)]
    for trial in both:
        study.tell(trial, 0.5 + trial.number)  # by two workers, before either message has come
    for trial in both:
        observer.trial_ended(ended(trial.number, 0.5 + trial.number))
    observer.search_ended("FINISHED")
    first, second, last = file.getvalue().splitlines()[1:]
    assert first.startswith("trial 0 (1/4): val_accuracy 0.5000 ")
    assert "; best 0.5000 (trial 0)" in first  # not yet that of trial 1
    assert second.startswith("trial 1 (2/4): val_accuracy 1.5000 ")
    assert "2 of 4 trials done" in last
    assert last.endswith("best val_accuracy 1.5000 (trial 1)")


def test_at_the_end_a_trial_counts_whose_end_was_not_told(progress: PlainProgress, file: io.StringIO) -> None:
    study = study_with()
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study, SETTINGS)
    study.tell(begin(observer, study), 0.5)
    observer.search_ended("FINISHED")
    assert "1 of 4 trials done" in file.getvalue().splitlines()[-1]


def test_the_next_search_hides_no_trial_of_the_one_before(progress: PlainProgress, file: io.StringIO) -> None:
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study_with(), SETTINGS)
    observer.trial_started(started(0, ""))  # its end is never told
    observer.search_ended("KILLED")
    study = study_with()
    observer.search_started(study, SETTINGS)
    study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs={"params": 1}))
    here = begin(observer, study)
    study.tell(here, 0.6)
    observer.trial_ended(ended(here.number, 0.6))
    assert file.getvalue().splitlines()[-1].startswith("trial 1 (2/4)")


def interrupt(observer: ProgressObserver, study: optuna.Study, trial: optuna.Trial, enqueue: bool = True) -> None:
    """End a trial that was begun here as interrupted."""
    trial.set_user_attr(REASON, INTERRUPTED)
    study.tell(trial, state=TrialState.FAIL)
    if enqueue:
        study.enqueue_trial({}, user_attrs={RETRY_OF: trial.number})
    observer.trial_ended(ended(trial.number, None, "FAIL", INTERRUPTED))


@pytest.mark.parametrize("status", ["FINISHED", "KILLED"])
@pytest.mark.parametrize("is_enqueued", [True, False])
def test_only_what_nobody_has_tried_again_is_still_to_be(
    progress: PlainProgress, file: io.StringIO, status: SearchStatus, is_enqueued: bool
) -> None:
    study = study_with()
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study, SETTINGS)
    for _ in range(2):  # the second one tries the first one again
        interrupt(observer, study, begin(observer, study))
    again = begin(observer, study)
    assert again.user_attrs == {RETRY_OF: 1}
    study.tell(again, 0.5)
    observer.trial_ended(ended(again.number, 0.5))
    interrupt(observer, study, begin(observer, study), is_enqueued)
    observer.search_ended(status)
    assert "1 of 4 trials done, 0 stopped early, 0 failed, 1 to be tried again; best" in file.getvalue()


def test_where_all_were_tried_again_none_is_to_be(progress: PlainProgress, file: io.StringIO) -> None:
    study = study_with()
    observer = ProgressObserver(progress, "quick", timeout=None)
    observer.search_started(study, SETTINGS)
    both = [begin(observer, study) for _ in range(2)]
    for trial in both:
        interrupt(observer, study, trial)
    study.enqueue_trial({}, user_attrs={RETRY_OF: 0})  # by another process; only the first one counts
    for trial in (begin(observer, study), begin(observer, study)):
        study.tell(trial, 0.5)
        observer.trial_ended(ended(trial.number, 0.5))
    observer.search_ended("FINISHED")
    assert "2 of 4 trials done, 0 stopped early, 0 failed; best" in file.getvalue().splitlines()[-1]
