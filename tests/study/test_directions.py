"""The direction of a metric by its name."""

import keras
import pytest

from kerastuna.search.study.directions import direction_of


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_accuracy", "max"),
        ("val_head_binary_accuracy", "max"),
        ("val_accuracy_int8", "max"),
        ("val_mae_int8", "min"),
        ("acc", "max"),
        ("auc_1", "max"),
        ("val_r2", "max"),
        ("val_f1_score", "max"),
        ("val_loss", "min"),
        ("val_price_mae", "min"),
        ("mean_squared_error", "min"),
        ("terror_acclaim", None),
        ("val_score", None),
        ("7", None),
    ],
)
def test_names(name: str, direction: str | None) -> None:
    assert direction_of(name) == direction


def test_every_metric_of_keras_that_has_a_direction_is_known():
    made = []
    for name in ("AUC", "F1Score", "FBetaScore", "Precision", "R2Score", "Recall", "CosineSimilarity"):
        made.append((getattr(keras.metrics, name)().name, "max"))
    for name in ("MeanSquaredError", "RootMeanSquaredError", "LogCoshError", "KLDivergence", "Poisson", "SquaredHinge"):
        made.append((getattr(keras.metrics, name)().name, "min"))
    assert [(name, direction_of(f"val_{name}")) for name, _ in made] == made
