"""Optuna's pruners by name, and the one that suits a goal."""

from typing import cast

from optuna import pruners
from optuna.pruners import BasePruner, NopPruner

from ..errors import InputError
from ..study.goal import Goal
from .cautious_pruner import CautiousPruner
from .names import PRUNER_NAMES, PrunerName
from .target_pruner import TargetPruner

FIRST_RUNG = 2
"""Epochs before any trial may stop. The first epoch shows how fast a network starts, hardly where it ends."""


def first_rung(epochs: int | None) -> int:
    """The first epoch at which a trial of so many epochs may stop; None where the number is not known."""
    return max(FIRST_RUNG, (epochs or 1) // 5)


def pruner_for(goal: Goal, pruner: str | BasePruner | None, epochs: int | None) -> BasePruner:
    """The pruner for a study.

    Args:
        goal: of the study.
        pruner: what the user chose: a name, an Optuna pruner, or None for what suits the goal. That is "halving" for
            one metric, the distance to the target where there is one, and no pruner for a Pareto front.
        epochs: of a full trial; None where the number is not known.

    A pruner that is chosen by name stops trials in their first half only, and only where four others came as far. An
    Optuna pruner decides at every epoch.

    Raises InputError for an unknown name, and for a pruner that cannot serve the goal.
    """
    if goal.compares_by_metric:
        if isinstance(pruner, BasePruner):
            return pruner
        named = named_pruner(pruner or "halving", epochs)
        return named if epochs is None or isinstance(named, NopPruner) else CautiousPruner(named, epochs)
    if pruner not in (None, "none"):
        raise InputError(
            f"pruner {pruner!r} compares trials by one metric, which is not what this study is after: leave it "
            'out, or give "none"'
        )
    if goal.target is not None and pruner is None:
        return TargetPruner(goal.metric, goal.target, first_rung(epochs))
    return NopPruner()


def named_pruner(name: str, epochs: int | None) -> BasePruner:
    """The pruner of that name, for trials of so many epochs.

    "halving" is asynchronous successive halving (Li et al., 2020, arXiv:1810.05934). Its rungs are a fifth of the
    epochs (but at least two), twice and four times as many. At each rung the better half of the trials goes on.

    Raises InputError for an unknown name.
    """
    if name not in PRUNER_NAMES:
        raise InputError(
            f"pruner {name!r} is unknown: choose one of {', '.join(PRUNER_NAMES)}, or give an Optuna pruner"
        )
    match cast(PrunerName, name):
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=first_rung(epochs), reduction_factor=2)
        case "hyperband":
            return pruners.HyperbandPruner(min_resource=first_rung(epochs), max_resource=epochs or "auto")
        case "median":
            return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=first_rung(epochs))
        case "none":
            return NopPruner()
