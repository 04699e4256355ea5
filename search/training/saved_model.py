"""Whether a model can be loaded from its own file by another process, and what to change where it cannot.

Keras looks up the classes and functions of a `.keras` file among its own and among those that are registered with it.
It imports no module of the user for them, and it loads no lambda.
"""

import json
import random
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from ..errors import SpaceError
from ..messages import shortened

REGISTER = "@keras.saving.register_keras_serializable()"
_FATE = "else the champion cannot be loaded or exported"
_LAMBDA = (
    f"the model has a lambda, which Keras does not load from a file: give a named function with {REGISTER} before it"
)
_KINDS = {
    "model": keras.Model,
    "layer": keras.layers.Layer,
    "loss": keras.losses.Loss,
    "metric": keras.metrics.Metric,
    "initializer": keras.initializers.Initializer,
    "regularizer": keras.regularizers.Regularizer,
    "constraint": keras.constraints.Constraint,
    "optimizer": keras.optimizers.Optimizer,
    "schedule": keras.optimizers.schedules.LearningRateSchedule,
}


def saving_problem(model: keras.Model) -> str:
    """Why another process could not load `model` after it was saved, and what to change; "" where it can.

    The model is written to a temporary file and loaded again, which draws no random number of this process. What the
    file names must be registered with Keras when a module is imported, and not within a function.

    Args:
        model: built, compiled or not.
    """
    states = random.getstate(), np.random.get_state()
    try:
        with warnings.catch_warnings(record=True) as told, TemporaryDirectory() as folder:
            warnings.simplefilter("always")
            path = Path(folder, "model.keras")
            try:
                model.save(path)
                config = _config_in(path)
                if any("lambda" in str(warning.message) for warning in told):
                    return f"{_LAMBDA}, {_FATE}"
                return _unregistered(config) or _difference(model, keras.saving.load_model(path))
            except Exception as error:  # the model may be of the user's own class
                return f"the model cannot be saved and loaded again ({_root(error)}): correct it, {_FATE}"
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def load_saved(path: Path) -> Any:
    """The compiled model in a `.keras` file; the modules that register its own classes must have been imported.

    Raises SpaceError, in one line, when it cannot be loaded.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")  # it had not trained
            return keras.saving.load_model(path)
    except Exception as error:  # Keras raises many kinds
        problem = _unregistered(_config_in(path)) or _root(error)
        raise SpaceError(f"{path} cannot be loaded ({problem})") from error


def modules_of(path: Path) -> tuple[str, ...]:
    """The modules that register with Keras what a `.keras` file names: import them before it is loaded."""
    known = keras.saving.get_custom_objects()
    keys = {
        entry.get("config" if entry["class_name"] == "function" else "registered_name")  # a tensor has none
        for entry in _named(_config_in(path))
    }
    return tuple(sorted({known[key].__module__ for key in keys if key in known}))


def _config_in(path: Path) -> Mapping[str, Any]:
    """The description of the model in a `.keras` file; empty where it has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return {}


def _named(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every class and function that a description names."""
    if isinstance(config, list):
        for part in config:
            yield from _named(part)
    elif isinstance(config, dict):
        if isinstance(config.get("class_name"), str) and "config" in config:
            yield config
        for part in config.values():
            yield from _named(part)


def _is_own(entry: Mapping[str, Any]) -> bool:
    """Whether this is a class that is not one of Keras's. One of the main program has no module."""
    module = str(entry.get("module")).partition(".")[0]
    return bool(entry.get("registered_name")) and module not in ("keras", "builtins")


def _unregistered(config: Mapping[str, Any]) -> str:
    """What a description names and another process would not find, in one line; "" where there is nothing."""
    problems: dict[str, None] = {}
    for entry in _named(config):
        if entry["class_name"] == "__lambda__":
            return f"{_LAMBDA}, {_FATE}"
        if problem := _problem_of(entry):
            problems[problem] = None
    if not problems:
        return ""
    others = f" ({len(problems) - 1} more like it)" if len(problems) > 1 else ""
    return f"{next(iter(problems))}{others}, {_FATE}"


def _problem_of(entry: Mapping[str, Any]) -> str:
    """Why another process would not find a class or function; "" where it would."""
    if entry["class_name"] == "function":
        key = str(entry["config"])
        name, where = key.rpartition(">")[2], ""
    elif _is_own(entry):
        key, name, where = entry["registered_name"], entry["class_name"], f" of {entry['module'] or '__main__'}"
    else:
        return ""
    found = keras.saving.get_custom_objects().get(key)
    if found is not None:
        return _misplaced(found)
    if where:
        kind = _kind(getattr(sys.modules.get(entry["module"] or "__main__"), name, None))
        return f"{kind} {name}{where} is not registered with Keras: put {REGISTER} before the class"
    if _is_keras_function(entry):
        return ""
    if hasattr(keras.ops, name):
        return f"Keras does not load its function keras.ops.{name} from a file: call it in a function with {REGISTER}"
    return f"function {name} is not registered with Keras: put {REGISTER} before the function"


def _misplaced(found: Any) -> str:
    """Why importing a module would not register a class or function that is registered here; "" where it would."""
    named = f"{_kind(found)} {getattr(found, '__name__', found)} of {getattr(found, '__module__', '?')}"
    if "<locals>" in getattr(found, "__qualname__", ""):
        return f"{named} is defined within a function: move it to the top of the module"
    if getattr(found, "__module__", "") == "__main__":
        return f"{named} is defined in the main program: move it to a module that can be imported"
    return ""


def _is_keras_function(entry: Mapping[str, Any]) -> bool:
    try:
        keras.saving.deserialize_keras_object(dict(entry))
    except (TypeError, ValueError):
        return False
    return True


def _kind(found: Any) -> str:
    if not isinstance(found, type):
        return "function" if callable(found) else "class"
    return next((kind for kind, base in _KINDS.items() if issubclass(found, base)), "class")


def _difference(model: keras.Model, loaded: Any) -> str:
    ours, theirs = model.get_weights(), loaded.get_weights()
    same = [np.array_equal(mine, other, equal_nan=True) for mine, other in zip(ours, theirs, strict=False)]
    if len(ours) == len(theirs) and all(same):
        return ""
    return (
        f"of {len(ours)} arrays of weights, {sum(same)} are the same after the model was saved and loaded: let its "
        f"build(input_shape) make all of its layers and weights, {_FATE}"
    )


def _root(error: BaseException) -> str:
    """The first of a chain of errors, in one short line: Keras wraps it in others, with the whole description."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return shortened(f"{type(error).__name__}: {error}", 200)
