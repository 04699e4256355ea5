"""Studies for tests: an identity, a study that is opened with it, and the places that it may be kept in."""

from typing import Any

from optuna.pruners import NopPruner
from optuna.storages import BaseStorage

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
