"""The user attributes of studies and trials: what Kerastuna stores beside Optuna's own fields."""

from optuna.trial import FrozenTrial, TrialState

from .reasons import REJECTIONS

# Of a study

IDENTITY = "identity"
"""What a search must agree on to go on with the study."""
STUDY_ID = "study_id"
"""Its random id, see `study_id`: what lies outside its storage belongs to it, and not to its name."""
CONFIRMING = "confirming"
"""The process that confirms it at present; see `confirming`."""
SPACE = "space"
"""Every hyperparameter known so far, including those that showed up only while a trial was built."""
REQUEST = "request"
"""The options of the command that made the study. They open it again."""
SEARCH_SECONDS = "search_seconds"
"""The seconds that all searches in the study took together."""
DRAWN_SEED = "drawn_seed"
"""The seed of a study that was made without one."""

# Of a trial
REASON = "reason"
"""Why it was refused, stopped early or failed; see `reasons`."""
MESSAGE = "message"
"""The text of that refusal or failure."""
HYPERPARAMETERS = "hyperparameters"
"""The values that KerasTuner knows, by name. Optuna's parameters may have other names and scales."""
METRICS = "metrics"
"""What KerasTuner keeps of a trained trial: of each metric the direction, and the values with their steps, which are
epochs counted from 0."""
SEED = "seed"
"""The seed of its training."""
NAME = "name"
"""The name it was enqueued with, for example that of a reference network."""
RETRY_OF = "retry_of"
"""The number of the interrupted trial whose hyperparameters it tries again."""
DIED = "died"
"""True where its process died by itself, while the process that had started that one went on."""
CONTINUED_AFTER = "continued_after"
"""The epochs that the interrupted trial had trained already: this one went on after them."""
NARROWED_FROM = "narrowed_from"
"""The widths that the sampler proposed, by hyperparameter, where they were over the budget and were made to fit."""
WORKER = "worker"
"""The process that trains it; see `liveness`."""
LAST_SEEN = "last_seen"
"""When that process last reported, in seconds since 1970."""
SCORE = "score"
"""Of a complete trial: the metric at its last epoch. The study's own value may be something else, such as a cost."""
HISTORY = "history"
"""Its metrics, epoch by epoch."""
SECONDS = "seconds"
"""The seconds of its training."""
LIMITS = "limits"
"""Of a proposal over the budget: the names of the limits it breaks."""
SAMPLER_STATE = "sampler_state"
"""What its sampler stored about it. CMA-ES and NSGA-II keep their generations there."""


def is_rejection(trial: FrozenTrial) -> bool:
    """Whether `trial` is a proposal that was refused before a network was built."""
    return trial.user_attrs.get(REASON) in REJECTIONS


def is_enqueued(trial: FrozenTrial) -> bool:
    """Whether `trial` was enqueued, by a user or as a retry: the sampler did not propose it."""
    return "fixed_params" in trial.system_attrs  # where Optuna's `enqueue_trial` puts the parameters


def is_trained(trial: FrozenTrial) -> bool:
    """Whether `trial` trained to its end or was stopped early. The option `--trials` counts these."""
    return trial.state == TrialState.COMPLETE or (trial.state == TrialState.PRUNED and not is_rejection(trial))
