"""Workers on one study, of whom one is killed or stopped. They train nothing."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from killed_search import NAMES, SPACE, Copy, make, opened
from optuna.trial import FrozenTrial, TrialState

from kerastuna.search.proposals.distributions import values_key
from kerastuna.search.proposals.proposer import Proposer
from kerastuna.search.proposals.samplers import sampler_for
from kerastuna.search.study import liveness
from kerastuna.search.study.attributes import HYPERPARAMETERS, NAME, is_trained
from kerastuna.search.study.retries import Retries
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy

TRIALS = 8
EPOCHS = 3
EVERY = "KERASTUNA_EVERY_KILL" in os.environ


def work(location: str, name: str, seconds: float, silent: float) -> None:
    """Train until the study has its trials; an epoch takes so many seconds."""
    liveness.SILENT_SECONDS = silent
    storage = open_storage(location)
    stored = StoredStudy(opened(storage), storage)
    proposer = Proposer(stored, sampler_for("random", 0), 0, budget=None, measure=None)
    while (claim := proposer.next(SPACE, TRIALS)) is not None:
        claim.start()
        claim.keep(trained_by=name)
        for epoch in range(1, EPOCHS + 1):
            time.sleep(seconds)
            if claim.report(epoch, {}, 0.5, None):
                break
        claim.complete(0.5, [0.5], {})
    print(f"{name} ended with {proposer.trained} trials", flush=True)


@pytest.fixture(params=["journal", "sqlite"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A study with enqueued trials."""
    location = str(tmp_path / "journal") if request.param == "journal" else f"sqlite:///{tmp_path}/optuna.db"
    make(location)
    return location


Start = Callable[..., Copy]


@pytest.fixture
def start(location: str, tmp_path: Path) -> Iterator[Start]:
    """`start(name)` starts a worker, which prints to the file of its name."""
    started: list[Copy] = []

    def start(name: str, seconds: float = 0.05, silent: float = 300.0) -> Copy:
        started.append(Copy(partial(work, location, name, seconds, silent), tmp_path / name))
        return started[-1]

    yield start
    for worker in started:
        with suppress(ProcessLookupError):
            worker.send(signal.SIGKILL)


def wait_for(location: str, happens: Callable[[list[FrozenTrial]], object], seconds: float = 60) -> list[FrozenTrial]:
    study, until = opened(open_storage(location)), time.monotonic() + seconds
    while not happens(trials := study.get_trials(deepcopy=False)):
        assert time.monotonic() < until, [(t.number, t.state.name, t.user_attrs.get("reason")) for t in trials]
        time.sleep(0.02)
    return trials


def trained_by(name: str, state: TrialState) -> Callable[[list[FrozenTrial]], list[FrozenTrial]]:
    return lambda trials: [t for t in trials if t.state == state and t.user_attrs.get("trained_by") == name]


def check(location: str) -> list[FrozenTrial]:
    trials = opened(open_storage(location)).get_trials(deepcopy=False)
    trained = [trial for trial in trials if is_trained(trial)]
    assert len(trained) == TRIALS
    assert sorted(trial.user_attrs[NAME] for trial in trained if NAME in trial.user_attrs) == list(NAMES)
    assert set(Counter(values_key(trial.user_attrs[HYPERPARAMETERS]) for trial in trained).values()) == {1}
    # A proposal that came too late for the last place waits for a search with more trials.
    assert all(trial.state.is_finished() or trial.state == TrialState.WAITING for trial in trials)
    retries = Retries()
    retries.note(trials)
    assert not retries.owed
    return trials


def retried(number: int) -> Callable[[list[FrozenTrial]], list[FrozenTrial]]:
    """The trial that tries the one with this number again, once somebody trains it."""
    begun = (TrialState.RUNNING, TrialState.COMPLETE)
    return lambda trials: [t for t in trials if t.user_attrs.get("retry_of") == number and t.state in begun]


def its_trial(location: str, name: str) -> int:
    """The number of the trial that a worker trains, once it does."""
    return trained_by(name, TrialState.RUNNING)(wait_for(location, trained_by(name, TrialState.RUNNING)))[0].number


def test_the_other_worker_ends_with_all_trials(location: str, start: Start, tmp_path: Path) -> None:
    killed = start("killed", seconds=60.0)
    number = its_trial(location, "killed")
    other = start("other")
    wait_for(location, lambda trials: sum(map(is_trained, trials)) == TRIALS - 1)
    killed.send(signal.SIGKILL)
    began = time.monotonic()
    assert killed.wait() == -signal.SIGKILL
    wait_for(location, retried(number))
    print(f"{time.monotonic() - began:.1f} s from the kill to the next try")
    assert time.monotonic() - began < 10
    assert other.wait() == 0
    assert (tmp_path / "other").read_text() == f"other ended with {TRIALS} trials\n"
    check(location)


@pytest.mark.parametrize("seed", range(20 if EVERY else 1))
def test_workers_that_are_killed_at_random_moments_end_with_all_trials(seed: int, location: str, start: Start) -> None:
    moments = random.Random(seed)
    workers, kills = [start("w", seconds=0.03) for _ in range(3)], 0
    for _ in range(8):
        time.sleep(moments.uniform(0.02, 0.5))
        place = moments.randrange(3)
        workers[place].send(signal.SIGKILL)  # it has no effect on one that has ended
        kills += (ended := workers[place].wait()) == -signal.SIGKILL
        assert ended in (0, -signal.SIGKILL)
        workers[place] = start("w", seconds=0.03)
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    check(location)
    print(f"killed {kills} times")


def test_a_worker_that_was_stopped_takes_note_and_works_on(location: str, start: Start, tmp_path: Path) -> None:
    stopped = start("stopped", seconds=0.5)
    number = its_trial(location, "stopped")
    stopped.send(signal.SIGSTOP)
    os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
    other = start("other", seconds=0.2, silent=1.0)
    wait_for(location, retried(number))
    stopped.send(signal.SIGCONT)
    assert (stopped.wait(), other.wait()) == (0, 0)
    for name in ("stopped", "other"):
        told = (tmp_path / name).read_text()
        assert told.endswith(f"{name} ended with {TRIALS} trials\n")
        assert ("was taken for dead by another process" in told) == (name == "stopped")
    trials = check(location)
    assert (trials[number].state, trials[number].user_attrs["reason"]) == (TrialState.FAIL, "interrupted")
    assert "score" not in trials[number].user_attrs
