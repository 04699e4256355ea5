"""What is written beside Optuna's own fields: the user attributes of studies and trials."""

from optuna.trial import FrozenTrial, TrialState

IDENTITY = "identity"


REASON = "reason"


HYPERPARAMETERS = "hyperparameters"


NAME = "name"
"""Of a trial that was enqueued by name, a reference network for example."""


RETRY_OF = "retry_of"


WORKER = "worker"


LAST_SEEN = "last_seen"


REJECTIONS = ("over_budget", "infeasible", "duplicate")


STOPPED_EARLY = "stopped_early"


INTERRUPTED = "interrupted"


RETRIED_REASONS = (INTERRUPTED, "timeout")
"""Of failed trials whose hyperparameters are tried again."""


SCORE = "score"
"""User attribute of a complete trial: the metric at its last epoch, where the study's value may be another."""


SAMPLER_STATE = "sampler_state"
"""User attribute of a trial: what its sampler noted about it (CMA-ES and NSGA-II keep their generations there)."""


SPACE = "space"
"""User attribute of a study: every hyperparameter met so far, those included that only showed up within a trial."""


HISTORY = "history"
"""User attribute of a trial: its metrics, epoch by epoch."""


SECONDS = "seconds"


LIMITS = "limits"
"""User attribute of a proposal that was refused as over budget: the limits it broke, by name."""


REQUEST = "request"
"""User attribute of a study: the options it was made with, by which it can be opened again."""


SEARCH_SECONDS = "search_seconds"
"""User attribute of a study: the seconds that all its searches took together."""


def is_rejection(trial: FrozenTrial) -> bool:
    """Whether `trial` is a proposal that was refused before anything was built."""
    return trial.user_attrs.get(REASON) in REJECTIONS


def is_trained(trial: FrozenTrial) -> bool:
    """Whether `trial` ran to its end or was stopped early: what `--trials` counts."""
    return trial.state == TrialState.COMPLETE or (trial.state == TrialState.PRUNED and not is_rejection(trial))
