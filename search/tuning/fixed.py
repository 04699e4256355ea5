"""Hyperparameters that a search does not vary: each keeps one value that the user gives."""

from collections.abc import Mapping
from typing import Any, TypeVar

import keras_tuner
from keras_tuner.engine import hyperparameters as kt

from ..errors import SpaceError
from ..proposals.distributions import ParameterSpace, Value

Space = TypeVar("Space", bound=keras_tuner.HyperParameters)


def with_fixed(space: Space, given: Mapping[str, Any]) -> Space:
    """The hyperparameters of `space`, of which those in `given` are KerasTuner's `Fixed`; `space` is left as it is.

    Args:
        given: values by name. A text also stands for the number, the Boolean or the choice that is written like it. A
            conditional hyperparameter has its value wherever it is active.

    Raises SpaceError for a name that is not in the space, for a value outside it, and for a hyperparameter that the
    other values never let be active.
    """
    if unknown := sorted(given.keys() - {hp.name for hp in space.space}):
        known = ", ".join(dict.fromkeys(hp.name for hp in space.space))
        raise SpaceError(
            f"{', '.join(map(repr, unknown))} cannot be fixed: the space has {known or 'no hyperparameters'}; correct "
            "the name"
        )
    config = space.get_config()
    for place, hp in enumerate(space.space):
        if hp.name in given:
            fixed = kt.Fixed(hp.name, _value(hp, given[hp.name]), conditions=hp.conditions)
            config["space"][place] = {"class_name": "Fixed", "config": fixed.get_config()}
    pinned = type(space).from_config({**config, "values": {}})
    for hp in pinned.space:
        if pinned.is_active(hp):  # which another one's value may have changed
            known: Any = hp.default if hp.name in given else space.values.get(hp.name, hp.default)
            pinned.values.setdefault(hp.name, known)
    for name in given:
        _check_reached(pinned, name)
    return pinned


def _value(hp: Any, given: Any) -> Value:
    """`given` as a value of `hp`."""
    value = _read(hp, given) if isinstance(given, str) else given
    if isinstance(hp, kt.Fixed):
        if value != hp.value:
            raise SpaceError(f"hyperparameter {hp.name!r} is {hp.value!r} in this space: it cannot be {given!r}")
        return hp.value
    alone = ParameterSpace([type(hp).from_config({**hp.get_config(), "conditions": []})])
    parameters, _ = alone.encode({hp.name: value})
    return alone.fill(lambda parameter: parameters[parameter.name])[hp.name]


def _read(hp: Any, text: str) -> Any:
    """The value that is written as `text`; the text itself where none is."""
    if isinstance(hp, kt.Int | kt.Float):
        try:
            return float(text)
        except ValueError:
            return text
    written = {str(value).lower(): value for value in hp.values}
    return written.get(text.lower(), _same_number(hp.values, text))


def _same_number(values: Any, text: str) -> Any:
    try:
        return next((value for value in values if not isinstance(value, str) and value == float(text)), text)
    except ValueError:
        return text


def _check_reached(space: keras_tuner.HyperParameters, name: str) -> None:
    """Raise SpaceError when the fixed values never let `name` be active."""
    barriers = [_barrier(space, hp) for hp in space.space if hp.name == name]
    if all(barriers):
        condition = barriers[0]
        assert condition is not None
        allowed = " or ".join(map(str, condition.values))
        raise SpaceError(
            f"hyperparameter {name!r} plays no part where {condition.name} is not {allowed}: leave one of the two out"
        )


def _barrier(space: keras_tuner.HyperParameters, hp: Any) -> Any:
    """The condition of `hp`, or of one that it depends on, that never holds; None where all may hold."""
    for condition in hp.conditions:
        parents: list[Any] = [parent for parent in space.space if parent.name == condition.name]
        if all(isinstance(parent, kt.Fixed) and parent.value not in condition.values for parent in parents):
            return condition
        barriers = [_barrier(space, parent) for parent in parents]
        if all(barriers):
            return barriers[0]
    return None
