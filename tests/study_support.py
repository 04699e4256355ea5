"""Studies for tests: an identity, a study that is opened with it, and the places that it may be kept in."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
from optuna.pruners import NopPruner
from optuna.storages import BaseStorage

from kerastuna.search.compat.optuna import take_trial
from kerastuna.search.study.studies import open_study

IDENTITY: dict[str, Any] = {
    "objective": ["val_accuracy", "max"],
    "budget": 15000,
    "seed": 0,
    "data": {"name": "mnist", "input_shape": (28, 28, 1)},
    "hyperparameters": [
        {"name": "blocks", "kind": "Int", "max_value": 3, "conditions": []},
        {"name": "units", "kind": "Int", "conditions": ["a"]},
        {"name": "units", "kind": "Choice", "conditions": ["b"]},
    ],
}


def opened(storage: BaseStorage, name: str = "s", direction: str = "maximize", **changes: Any) -> Any:
    identity = IDENTITY | changes
    return open_study(storage, name, directions=[direction], identity=identity, pruner=NopPruner(), seed=0)


def check_that_one_takes_each_trial(
    open_it: Callable[[], BaseStorage], then: Callable[[optuna.Study, int], Any] = lambda study, number: None
) -> None:
    """Four threads, each with a storage of its own, want the twelve trials of a study "s" at once: each goes to one.

    `then` is called by the thread that has taken a trial, with the study and the trial's number.
    """
    study = optuna.create_study(storage=open_it(), study_name="s")
    for _ in range(12):
        study.enqueue_trial({"n": 1})
    ids = [trial._trial_id for trial in study.trials]

    def work(name: int) -> list[int]:
        storage = open_it()
        start.wait()
        taken = [number for number, trial_id in enumerate(ids) if take_trial(storage, trial_id, {"worker": name})]
        mine = optuna.load_study(study_name="s", storage=storage)
        for number in taken:
            then(mine, number)
        return taken

    start = threading.Barrier(4)
    with ThreadPoolExecutor(4) as workers:
        taken = list(workers.map(work, range(4)))
    assert sorted(number for numbers in taken for number in numbers) == list(range(12))
    owners = [trial.user_attrs["worker"] for trial in study.trials]
    assert owners == [next(name for name, numbers in enumerate(taken) if number in numbers) for number in range(12)]
