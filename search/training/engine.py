"""Engines: they train a network of a `SearchSpace` with one compiled call an epoch, in place of Keras's `fit`.

Keras's `fit` returns to Python after every batch, to run the callbacks that ask for it. A search needs none there.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np

from ...spaces.recipe_in_keras import callbacks_of, trained_by
from ...spaces.space import SearchSpace, check_labels
from .epochs import EpochReporter

if TYPE_CHECKING:
    from .jax_engine import JaxEngine

BATCH_METHODS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
"""Methods of a callback that `fit` calls within an epoch, and that an engine never calls."""
ARGUMENTS = frozenset({"x", "y", "epochs", "validation_data", "callbacks", "shuffle", "verbose", "initial_epoch"})
"""Arguments of `fit` that an engine takes."""


def engine_for(backend: str) -> "JaxEngine | None":
    """The engine for Keras's backend of this name, such as "jax"; None where Keras's `fit` has to do."""
    if backend != "jax":
        return None
    from .jax_engine import JaxEngine  # imports JAX, an extra

    return JaxEngine()


def keep_compiled_programs(backend: str, folder: Path) -> None:
    """Keep what an engine compiles in `folder`, where the next process finds it; nothing where there is no engine."""
    if backend == "jax":
        from .jax_engine import use_compilation_cache

        use_compilation_cache(folder)


def obstacle(model: keras.Model, arguments: Mapping[str, Any]) -> str | None:
    """Why Keras's `fit` has to train `model`; None where an engine can.

    Args:
        arguments: of `fit`, by name, without the batch size.
    """
    if others := sorted(arguments.keys() - ARGUMENTS):
        return f"{others[0]} is an argument of fit alone"
    validation = arguments.get("validation_data")
    data = (arguments.get("x"), arguments.get("y"), *(() if validation is None else validation))
    if len(data) != (2 if validation is None else 4) or not all(isinstance(part, np.ndarray) for part in data):
        return "the data are not pairs of NumPy arrays"
    if arguments.get("shuffle", True) not in (True, False):
        return "batches are to be shuffled as a whole"
    for callback in keras.tree.flatten(arguments.get("callbacks") or []):
        if method := next((name for name in BATCH_METHODS if _overrides(callback, name)), None):
            return f"the callback {type(callback).__name__} has {method}"
    if keras.distribution.distribution() is not None:
        return "the model is distributed"
    if model.run_eagerly:
        return "the model runs eagerly"
    return None


def fit(
    hypermodel: keras_tuner.HyperModel,
    hyperparameters: keras_tuner.HyperParameters,
    model: keras.Model,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Train `model` as `hypermodel.fit` does: by an engine if it is of a `SearchSpace` and an engine can.

    Args:
        args, kwargs: as for `hypermodel.fit`.

    Raises InputError for one-hot labels of a `SearchSpace`.
    """
    engine = engine_for(keras.backend.backend())
    arguments = {**dict(zip(("x", "y"), args, strict=False)), **kwargs}
    if isinstance(hypermodel, SearchSpace):  # an engine, or what makes `fit` quick, takes them before its `fit`
        check_labels(arguments.get("y"), arguments.get("validation_data"))
    if (
        engine is None
        or not isinstance(hypermodel, SearchSpace)
        or len(args) > 2
        or obstacle(model, arguments) is not None
    ):
        with _quick(hypermodel, model, arguments):
            return hypermodel.fit(hyperparameters, model, *args, **kwargs)
    recipe = hypermodel.recipe(hyperparameters)
    epochs = arguments.get("epochs", 1)
    callbacks = keras.tree.flatten(arguments.get("callbacks") or [])
    arguments["callbacks"] = [*callbacks_of(recipe, epochs), *callbacks]
    if recipe.changes_within_epochs:
        arguments["rates"] = lambda epoch, steps: recipe.learning_rates_in(epoch, epochs, steps)
    with trained_by(recipe, model, augmentation=None):
        return engine.fit(model, **arguments, batch_size=recipe.batch_size, augmentation=recipe.augmentation)


def _quick(
    hypermodel: keras_tuner.HyperModel, model: keras.Model, arguments: Mapping[str, Any]
) -> AbstractContextManager[None]:
    """Within the block, `fit` is as quick as the backend can be."""
    if not isinstance(hypermodel, SearchSpace) or keras.backend.backend() != "tensorflow":
        return nullcontext()
    from .tensorflow_steps import quick_steps

    return quick_steps(model, arguments.get("x"), arguments.get("y"))


def _overrides(callback: keras.callbacks.Callback, name: str) -> bool:
    """Whether the class of `callback`, or the callback itself as a `LambdaCallback` does, has this method anew.

    An engine validates the weights that a model has at the end of an epoch, so `EpochReporter` need not be told; and
    an epoch of an engine has no batches that could be told of.
    """
    if type(callback) is EpochReporter and name in ("on_test_begin", "on_train_batch_begin"):
        return False
    return getattr(getattr(callback, name), "__func__", None) is not getattr(keras.callbacks.Callback, name)
