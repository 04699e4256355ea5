"""A process that is killed at any moment of a search loses no point of it, and none is trained twice.

A search without training is killed at its n-th call of the storage, and at seeded moments within such calls. Another
process then ends it. With the variable KERASTUNA_EVERY_KILL it is killed at every n, which takes some ten minutes.
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from killed_search import NAMES, SPACE, Copy, make, opened
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from kerastuna.search.proposals.distributions import values_key
from kerastuna.search.proposals.proposer import Proposer
from kerastuna.search.proposals.samplers import sampler_for
from kerastuna.search.study.attributes import HYPERPARAMETERS, NAME, is_trained
from kerastuna.search.study.events import Announcer
from kerastuna.search.study.liveness import fail_abandoned_trials
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy

TRIALS = 4
KILLED = 9
EVERY = "KERASTUNA_EVERY_KILL" in os.environ
PLACES = ("/optuna/storages/", "/search/study/", "/search/proposals/", "/search/compat/")


def search(location: str | Path, prepare: Callable[[BaseStorage], None] = lambda storage: None) -> None:
    """A process of the search: every point is interrupted once, and completes at the second try."""
    storage = open_storage(location)
    prepare(storage)
    study = opened(storage)
    stored = StoredStudy(study, storage)
    fail_abandoned_trials(stored)
    proposer = Proposer(stored, sampler_for("random", 0), 0, budget=None, measure=None, announcer=Announcer())
    interrupted = set[str]()
    while (claim := proposer.next(SPACE, TRIALS)) is not None:
        claim.start()
        claim.report(1, {}, 0.5, None)
        key = values_key(claim.values)
        if len(interrupted) < 2 and key not in interrupted:
            interrupted.add(key)
            claim.fail(reason="interrupted")
        else:
            claim.complete(0.5, [0.5], {"demand": -1.0})


def check(location: str | Path, moment: object) -> None:
    trials = opened(open_storage(location)).get_trials(deepcopy=False)
    told = [(t.number, t.state.name, t.user_attrs.get(NAME), t.user_attrs.get("reason")) for t in trials]
    trained = [trial for trial in trials if is_trained(trial)]
    assert len(trained) == TRIALS, (moment, told)
    assert sorted(trial.user_attrs[NAME] for trial in trained if NAME in trial.user_attrs) == list(NAMES), (
        moment,
        told,
    )
    keys = Counter(values_key(trial.user_attrs[HYPERPARAMETERS]) for trial in trained)
    assert set(keys.values()) == {1}, (moment, told)
    assert all(trial.state == TrialState.COMPLETE for trial in trained), (moment, told)
    left = [trial for trial in trials if not trial.state.is_finished()]
    assert not [trial for trial in left if trial.state == TrialState.RUNNING], (moment, told)
    assert not left, (moment, told)


def killed_at_call(calls: int, count: list[int], storage: BaseStorage) -> None:
    """Let this process end at the call of the storage with that number, before it is made."""

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] > calls:
                os._exit(KILLED)
            return method(*args, **kwargs)

        return call

    for name in [*dir(BaseStorage), "take_trial"]:
        if not name.startswith("_") and hasattr(storage, name):
            setattr(storage, name, dying(getattr(storage, name)))


def killed_within(moments: int, storage: BaseStorage) -> None:
    """Let this process end at the call, of any function, of that number."""
    count = 0

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event in ("call", "c_call") and any(place in frame.f_code.co_filename for place in PLACES):
            count += 1
            if count > moments:
                os._exit(KILLED)

    sys.setprofile(watch)


@pytest.fixture(params=["journal", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Any]:
    """A new location for every kill."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a kill does not stop the system
    if request.param == "journal":
        return lambda moment: tmp_path / f"journal-{moment}"
    return lambda moment: f"sqlite:///{tmp_path}/{moment}.db"


def test_a_search_that_is_killed_at_every_call_of_its_storage_ends_whole(place: Callable[[object], Any]) -> None:
    moment, kills, died = 0, 0, KILLED
    while died == KILLED:
        make(location := place(moment))
        died = Copy(partial(search, location, partial(killed_at_call, moment, [0]))).wait()
        assert died in (0, KILLED)
        assert Copy(partial(search, location)).wait() == 0
        check(location, moment)
        moment += 1 if EVERY else (41 if "sqlite" in str(location) else 11)
        kills += died == KILLED
    print(f"killed at {kills} of {moment} calls")
    assert moment > 100


@pytest.mark.parametrize("seed", range(40 if EVERY else 2))
def test_a_search_that_is_killed_again_and_again_within_its_calls_ends_whole(
    seed: int, place: Callable[[object], Any]
) -> None:
    make(location := place(seed))
    moments, kills = random.Random(seed), 0
    for _ in range(12):  # fewer calls than a whole search makes
        moment = int(10 ** moments.uniform(2, 4.3))
        died = Copy(partial(search, location, partial(killed_within, moment))).wait()
        assert died in (0, KILLED)
        kills += died == KILLED
    assert Copy(partial(search, location)).wait() == 0
    check(location, seed)
    print(f"killed {kills} times")
    assert kills > 0
