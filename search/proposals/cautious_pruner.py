"""A pruner that lets another one stop trials only early, and only where there is enough to compare."""

from typing import final

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from ..errors import InputError

FEWEST_OTHERS = 4
"""No trial is stopped at an epoch that fewer others have reached. Of two or three, halving would keep one alone."""


@final
class CautiousPruner(BasePruner):
    """Stops a trial where the wrapped pruner does, but never after half of its epochs, nor among the first trials.

    A complete trial tells more than the epochs that stopping it late would save; and the first trials of a study are
    often its reference networks.

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
        """Whether `trial` is in its first half, the wrapped pruner stops it, and enough others came as far."""
        epoch = trial.last_step
        if epoch is None or 2 * epoch > self._epochs:
            return False
        if not self._wrapped_pruner.prune(study, trial):  # asked first: it takes note of the value
            return False
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        return sum(epoch in other.intermediate_values for other in others) >= FEWEST_OTHERS
