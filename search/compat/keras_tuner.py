"""Private names of KerasTuner that have no public replacement.

Each function gives its reason. `TUNER_MEMBERS` and `ORACLE_MEMBERS` list the protected members that our subclasses
override or use. tests/compat/test_keras_tuner.py fails when an upgrade changes any of this.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, final

import keras
import keras_tuner
from keras_tuner.engine.tuner import Tuner, maybe_distribute
from keras_tuner.src import config
from keras_tuner.src.engine import tuner_utils
from keras_tuner.src.engine.hypermodel import get_hypermodel

Space = TypeVar("Space", bound=keras_tuner.HyperParameters)

TUNER_MEMBERS: Mapping[str, str] = {
    "_build_and_fit_model": "overridden: an engine may train the network of a SearchSpace",
    "_build_hypermodel": "called: a model at some hyperparameters, under the distribution strategy",
    "_configure_tensorboard_dir": "overridden: it imports tensorboard, which TensorFlow no longer brings",
    "_deepcopy_callbacks": "called: every execution has callbacks of its own",
    "_get_build_config_fname": "called: where a trial's build configuration is",
    "_get_checkpoint_fname": "called: where a trial's weights are",
    "_get_tensorboard_dir": "called: where a trial's logs are",
    "_is_worker": "called: whether the process works for a chief, which alone may delete the project's folder",
    "_populate_initial_space": "overridden: a SearchSpace declares its hyperparameters without building a network",
    "_run_and_update_trial": "overridden: it scores a History at its best epoch",
    "_try_build": "overridden: what was built is held to the budget once more",
}
"""Protected members of `keras_tuner.Tuner`, and why they are used."""
ORACLE_MEMBERS: Mapping[str, str] = {
    "_directory": "read: whether the oracle has a folder",
    "_display": "called: what KerasTuner prints of a trial",
    "_project_dir": "read: the project's folder",
    "_project_name": "read: the study is named after the project",
    "_record_values": "called: the values count as tried",
    "_retry_queue": "read and changed: trials that KerasTuner tries again",
    "_save_trial": "called: the trial's own file in the project's folder",
}
"""Protected members of `keras_tuner.Oracle`, and why they are used."""


def with_values(kind: type[Space], space: keras_tuner.HyperParameters, values: Mapping[str, Any]) -> Space:
    """Hyperparameters of class `kind` with those of `space` declared, and `values`; `space` is left as it is.

    The public way, `from_config(get_config())`, writes out every hyperparameter and reads it again: half of the time
    that a proposal takes. A declared hyperparameter never changes, so it can be in several spaces.
    """
    made = kind()
    for declared in space.space:
        made._hps[declared.name].append(declared)
        made._space.append(declared)
    made.values = dict(values)
    return made


def hypermodel_of(hypermodel: Any) -> Any:
    """A `HyperModel` for what users give a tuner: one, or a function that builds models."""
    return get_hypermodel(hypermodel)


def metrics_of(results: Any, objective: Any) -> Mapping[str, Any]:
    """What a training may return, such as a number or a dictionary, as metrics by name."""
    return tuner_utils.convert_to_metrics_dict(results, objective) or {}


def mean_metrics(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of the metrics of several trainings, by name."""
    return tuner_utils.average_metrics_dicts(metrics)


def check_results(results: Any, objective: Any) -> None:
    """Raise KerasTuner's own error when `Tuner.run_trial` returned what KerasTuner does not understand."""
    tuner_utils.validate_trial_results(results, objective, "Tuner.run_trial()")


def trains_as(tuner: Any, base: type[Tuner]) -> bool:
    """Whether a trial is trained as by the class `base`, and a subclass of it has not changed that."""
    kind = type(tuner)
    return kind.run_trial is base.run_trial and kind._build_and_fit_model is base._build_and_fit_model


def tuner_callback(tuner: Any, trial: Any) -> Any:
    """The callback that calls a tuner's own `on_epoch_begin` and the like, which a subclass may override.

    KerasTuner's class is no longer public. It has methods for batches too, which do nothing unless a subclass overrides
    them: without need, they would keep an engine from training a whole epoch at once.
    """
    kind, base = type(tuner), keras_tuner.Tuner
    unused = kind.on_batch_begin is base.on_batch_begin and kind.on_batch_end is base.on_batch_end
    return (_EpochCallback if unused else tuner_utils.TunerCallback)(tuner, trial)


@final
class _EpochCallback(tuner_utils.TunerCallback):
    on_batch_begin: Any = keras.callbacks.Callback.on_batch_begin
    on_batch_end: Any = keras.callbacks.Callback.on_batch_end


def distribution(strategy: Any) -> AbstractContextManager[Any]:
    """The scope of a tuner's `distribution_strategy`, or an empty one for None."""
    return maybe_distribute(strategy)


def oracle_of_client(client: Any) -> Any:
    """The oracle of this process behind KerasTuner's client of a chief: it knows the seeds."""
    return client._oracle


@contextmanager
def tracebacks_hidden(hidden: bool) -> Iterator[None]:
    """Keep KerasTuner from printing the traceback of every failed trial, which it does whatever `verbose` is."""
    shown = config.DEBUG
    config.DEBUG = shown and not hidden
    try:
        yield
    finally:
        config.DEBUG = shown
