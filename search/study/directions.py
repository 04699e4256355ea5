"""Whether more or less of a metric is better, known by the metric's name."""

from typing import Literal

from .int8_names import in_float

Direction = Literal["max", "min"]

MORE_IS_BETTER = (
    "acc",
    "accuracy",
    "auc",
    "concordance_correlation",
    "cosine_similarity",
    "f1_score",
    "fbeta_score",
    "io_u",
    "pearson_correlation",
    "precision",
    "r2",
    "r2_score",
    "recall",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "true_negatives",
    "true_positives",
)
LESS_IS_BETTER = (
    "crossentropy",
    "error",
    "false_negatives",
    "false_positives",
    "hinge",
    "kl_divergence",
    "logcosh",
    "loss",
    "mae",
    "mape",
    "mse",
    "msle",
    "poisson",
    "rmse",
)


def direction_of(metric: str) -> Direction | None:
    """The direction of a metric that Keras calls `metric`, such as "val_accuracy"; None where the name does not tell.

    A name may have something before or after what is known: "val_head_binary_accuracy", "auc_1". KerasTuner minimises
    `F1Score`, `R2Score`, `CosineSimilarity` and `BinaryIoU`, which is never meant.
    """
    metric = in_float(metric)
    spellings = (f"_{metric}", f"_{metric.rstrip('0123456789').rstrip('_')}")
    if any(name.endswith(f"_{known}") for known in MORE_IS_BETTER for name in spellings):
        return "max"
    if any(name.endswith(f"_{known}") for known in LESS_IS_BETTER for name in spellings):
        return "min"
    return None
