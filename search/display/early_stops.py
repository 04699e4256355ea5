"""Whether trials of a search may be stopped early."""

from optuna.pruners import BasePruner, NopPruner

from ..proposals.cautious_pruner import FEWEST_OTHERS, CautiousPruner
from ..proposals.pruners import FIRST_RUNG
from ..proposals.target_pruner import ENOUGH_TRIALS, TargetPruner


def may_stop_early(pruner: BasePruner, epochs: int | None, trials: int | None) -> bool:
    """Whether `pruner` can stop a trial before its last epoch.

    Args:
        pruner: of a study.
        epochs: of a full trial; None where not known.
        trials: that the study is to have; None for no limit.
    """
    match pruner:
        case NopPruner():
            return False
        case CautiousPruner():  # which stops none in its second half
            fewest_epochs, others = 2 * FIRST_RUNG, FEWEST_OTHERS
        case TargetPruner():
            fewest_epochs, others = FIRST_RUNG + 1, ENOUGH_TRIALS
        case _:
            fewest_epochs, others = 2, 0
    return (epochs is None or epochs >= fewest_epochs) and (trials is None or trials > others)
