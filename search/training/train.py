"""Training one network from a seed."""

from collections.abc import Callable

import keras
import keras_tuner
import numpy as np

from ..errors import SearchFailed
from .epochs import EpochMetrics, EpochReporter


def train(
    hypermodel: keras_tuner.HyperModel,
    hyperparameters: keras_tuner.HyperParameters,
    seed: int,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    report: Callable[[int, EpochMetrics], None] = lambda epoch, metrics: None,
) -> tuple[keras.Model, list[EpochMetrics]]:
    """Build and train one network from `seed`.

    Args:
        seed: of the initial weights, the order of the images and everything else that is random.
        x: float32 (n, height, width, channels).
        y: int32 (n,).
        validation: images and labels of the same shapes and types.
        report: called after every epoch, counted from 1.

    Returns the model at its last epoch and the metrics of every epoch. Raises SearchFailed if the loss is not finite.
    """

    def keep_going(epoch: int, metrics: EpochMetrics) -> bool:
        report(epoch, metrics)
        return False

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    reporter = EpochReporter(keep_going, ())
    model = hypermodel.build(hyperparameters)
    given = {} if validation is None else {"validation_data": validation}
    hypermodel.fit(hyperparameters, model, x, y, epochs=epochs, verbose=0, callbacks=[reporter], **given)
    if reporter.failure is not None:
        raise SearchFailed(f"a confirmation could not be trained: {reporter.failure}")
    return model, list(reporter.history)
