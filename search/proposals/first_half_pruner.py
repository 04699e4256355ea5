"""A pruner that lets another one stop trials in the first half of their training only."""

from typing import final

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from ..errors import InputError


@final
class FirstHalfPruner(BasePruner):
    """Stops a trial where the wrapped pruner does, but never after half of its epochs.

    A complete trial tells more than the epochs that stopping it late would save.

    Args:
        wrapped_pruner: decides in the first half.
        epochs: of a full trial, at least 1.

    Raises InputError for an argument that is not allowed.
    """

    def __init__(self, wrapped_pruner: BasePruner, epochs: int) -> None:
        if not isinstance(wrapped_pruner, BasePruner):
            raise InputError(f"wrapped_pruner={wrapped_pruner!r}: give an Optuna pruner")
        if epochs < 1:
            raise InputError(f"epochs={epochs}: give a number of at least 1")
        self._wrapped_pruner = wrapped_pruner
        self._epochs = epochs

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether `trial` is in its first half and the wrapped pruner stops it."""
        epoch = trial.last_step
        if epoch is None or 2 * epoch > self._epochs:
            return False
        return self._wrapped_pruner.prune(study, trial)
