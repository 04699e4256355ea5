"""Training one network from a seed."""

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

from ..compat.keras_tuner import hypermodel_of
from ..errors import SearchFailed
from .engine import fit
from .epochs import BatchReport, EpochMetrics, EpochReporter, final_metrics
from .garbage import forget_trained_networks
from .hypermodels import has_own_fit
from .kept_weights import validated_again


def train(
    hypermodel: Any,
    hyperparameters: keras_tuner.HyperParameters,
    seed: int,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    objective: str | None = None,
    report: Callable[[int, EpochMetrics], None] = lambda epoch, metrics: None,
    report_batches: BatchReport = lambda epoch, done, batches: None,
) -> tuple[keras.Model, list[EpochMetrics]]:
    """Build and train one network from `seed`.

    Args:
        hypermodel: a `HyperModel`, or a function from hyperparameters to a compiled model.
        seed: of the initial weights, the order of the samples and everything else that is random.
        x: float32 (n, ...); y: as the targets of the task are.
        epochs: of the training.
        validation: samples and targets of the same shapes and types.
        objective: the name of the metric for which a `HyperModel.fit` may return a value of its own. As in a search,
            what `fit` returns counts at the last epoch; where no epochs were reported, it is the only one.
        report: called after every epoch, counted from 1.
        report_batches: called within a long epoch.

    Returns the model and the metrics of every epoch, up to the one whose weights the model has: a callback of the
    hypermodel's may have restored those of an earlier one. Raises SearchFailed if the loss is not finite.
    """

    def keep_going(epoch: int, metrics: EpochMetrics, epochs: int | None) -> bool:
        report(epoch, metrics)
        return False

    forget_trained_networks()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    reporter = EpochReporter(keep_going, (), report_batches=report_batches)
    trained = hypermodel_of(hypermodel)
    model = trained.build(hyperparameters)
    given = {} if validation is None else {"validation_data": validation}
    results = fit(trained, hyperparameters, model, x, y, epochs=epochs, verbose=0, callbacks=[reporter], **given)
    if reporter.failure is not None:
        raise SearchFailed(f"the network could not be trained: {reporter.failure}")
    ago, own_fit = reporter.epochs_since_kept, has_own_fit(hypermodel)
    history = list(reporter.history)[: len(reporter.history) - (ago or 0)]
    if ago is None and not own_fit:
        history[-1] = {**history[-1], **validated_again(model, given)}
    # What a `History` says of its end is then of other weights.
    is_corrected = isinstance(results, keras.callbacks.History) and ago != 0 and not (ago is None and own_fit)
    if objective is not None and not is_corrected:
        returned, _ = final_metrics(results, keras_tuner.Objective(objective, "max"))  # the direction plays no part
        history[-1:] = [{**(history[-1] if history else {}), **returned}]
    return model, history
