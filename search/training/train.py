"""Training one network from a seed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from ..compat.keras import clear_session
from ..compat.keras_tuner import hypermodel_of
from ..errors import Diverged
from .checkpoints import SavedState
from .engine import fit
from .epochs import BatchReport, EpochMetrics, EpochReporter, final_metrics
from .garbage import forget_trained_networks
from .hypermodels import has_own_fit
from .kept_weights import validated_again
from .resuming import Checkpointer, checkpoint_for, first_epoch, seeded, trained_on


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
    kept_in: Path | None = None,
    report_batches: BatchReport = lambda epoch, done, batches: None,
    check: Callable[[keras.Model], None] = lambda model: None,
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
        kept_in: the file of its checkpoint. A training that was killed goes on from there, and one that is over returns
            what it returned; whoever has stored that removes the file. None: it begins anew in any case.
        report_batches: called within a long epoch.
        check: called with the model before it is trained, or after that where the data give it its shapes; may raise.

    Returns the model and the metrics of every epoch, up to the one whose weights the model has: a callback of the
    hypermodel's may have restored those of an earlier one. Raises Diverged if the loss is not finite.
    """

    trained, own_fit = hypermodel_of(hypermodel), has_own_fit(hypermodel)
    given: dict[str, Any] = {"epochs": epochs, "verbose": 0}
    if validation is not None:
        given["validation_data"] = validation
    checkpoint = None
    if kept_in is not None:
        checkpoint = checkpoint_for(kept_in, hypermodel, hyperparameters.values, seed, (x, y), given)

    def keep_going(epoch: int, metrics: EpochMetrics, epochs: int | None) -> bool:
        report(epoch, metrics)
        return False

    def train_on(saved: SavedState | None) -> tuple[keras.Model, list[EpochMetrics]]:
        forget_trained_networks()
        clear_session()
        order = seeded(seed, saved)
        model = trained.build(hyperparameters)
        if was_built := model.built:
            check(model)
        reporter = EpochReporter(keep_going, (), report_batches=report_batches)
        if saved is not None and saved.is_finished:
            saved.restore(model)
            reporter.take_over(saved.history)
            return model, reporter.history
        keeper = None if checkpoint is None else Checkpointer(checkpoint, reporter, saved)
        callbacks = [reporter] if keeper is None else [reporter, keeper]
        with order:
            results = fit(trained, hyperparameters, model, x, y, **given, **first_epoch(saved), callbacks=callbacks)
        if reporter.failure is not None:
            # It diverged: there is neither a limit of time nor a deadline.
            raise Diverged(f"the network could not be trained: {reporter.failure}")
        if not was_built:
            check(model)
        again = partial(validated_again, model, given)
        history = _history_of(results, reporter, objective, own_fit, again)
        if keeper is not None:
            keeper.finish(history)
        return model, history

    return trained_on(checkpoint, train_on)


def _history_of(
    results: Any, reporter: EpochReporter, objective: str | None, own_fit: bool, again: Callable[[], dict[str, float]]
) -> list[EpochMetrics]:
    """The metrics of every epoch, up to the one whose weights the model has."""
    ago = reporter.epochs_since_kept
    history = list(reporter.history)[: len(reporter.history) - (ago or 0)]
    if ago is None and not own_fit:
        history[-1] = {**history[-1], **again()}
    # What a `History` says of its end is then of other weights.
    is_corrected = isinstance(results, keras.callbacks.History) and ago != 0 and not (ago is None and own_fit)
    if objective is not None and not is_corrected:
        returned, _ = final_metrics(results, keras_tuner.Objective(objective, "max"))  # the direction plays no part
        history[-1:] = [{**(history[-1] if history else {}), **returned}]
    return history
