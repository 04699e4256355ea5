"""Why a trial has no score of a full training: the values of the user attribute `reason`.

Importing this module is cheap: it does not import Optuna.
"""

OVER_BUDGET, INFEASIBLE, DUPLICATE = "over_budget", "infeasible", "duplicate"
REJECTIONS = (OVER_BUDGET, INFEASIBLE, DUPLICATE)
"""Of a proposal that was refused before a network was built."""
STOPPED_EARLY = "stopped_early"
"""Of a trial that the pruner stopped."""
INTERRUPTED = "interrupted"
TIMEOUT = "timeout"
RETRIED_REASONS = (INTERRUPTED, TIMEOUT)
"""Of a failed trial whose hyperparameters are tried again."""
ERROR = "error"
NOT_FINITE = "not_finite"
OUT_OF_MEMORY = "out_of_memory"
