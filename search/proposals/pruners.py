"""Optuna's pruners by name, and which of them suits a goal."""

from optuna import pruners
from optuna.pruners import BasePruner, NopPruner

from ...spaces.errors import InputError
from ..study.goal import BestMetric, Goal, SmallestNetwork
from .target_pruner import TargetPruner

PRUNERS = ("halving", "hyperband", "median", "none")


FIRST_RUNG = 2
"""Epochs before any trial may be stopped: the first one tells how fast a network starts, hardly where it ends."""


def pruner_of(goal: Goal, pruner: str | BasePruner | None, epochs: int | None) -> BasePruner:
    """What stops trials of so many epochs early, where `pruner` is what the user gave.

    Raises InputError for an unknown pruner, and for one that cannot serve the goal.
    """
    match goal:
        case BestMetric():
            return pruner_for(pruner or "halving", epochs)
        case _ if pruner not in (None, "none"):
            raise InputError(
                f"pruner {pruner!r} compares trials by one metric, which is not what this study is after: leave it "
                'out, or give "none"'
            )
        case SmallestNetwork(metric=metric, target=target) if pruner is None:
            return TargetPruner(metric, target, first_rung(epochs))
        case _:
            return NopPruner()


def first_rung(epochs: int | None) -> int:
    """The first epoch at which a trial of so many may be stopped."""
    return max(FIRST_RUNG, (epochs or 1) // 5)


def pruner_for(pruner: str | pruners.BasePruner, epochs: int | None) -> pruners.BasePruner:
    """The pruner by name; `epochs` is the length of a full trial, None where it is not known.

    "halving" is asynchronous successive halving (Li et al., 2020, arXiv:1810.05934): a trial goes on past a fifth of
    the epochs (but at least two), twice and four times as many, while it is in the better half of those that came as
    far.
    """
    if isinstance(pruner, pruners.BasePruner):
        return pruner
    match pruner:
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=first_rung(epochs), reduction_factor=2)
        case "hyperband":
            return pruners.HyperbandPruner(min_resource=first_rung(epochs), max_resource=epochs or "auto")
        case "median":
            return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=first_rung(epochs))
        case "none":
            return pruners.NopPruner()
        case _:
            raise InputError(
                f"pruner {pruner!r} is unknown: choose one of {', '.join(PRUNERS)}, or give an Optuna pruner"
            )
