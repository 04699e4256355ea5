"""KerasTuner hyperparameters as Optuna distributions, and back."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, final

from keras_tuner.engine import hyperparameters as kt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from ..errors import SpaceError

Value = int | float | str | bool
Values = Mapping[str, Value]
LARGEST_INT = 2**53
"""The largest whole number that a float holds exactly. Optuna stores numbers as floats."""
MANY_STEPS = 1_000_000


@final
@dataclass(frozen=True)
class Parameter:
    """One tunable hyperparameter as Optuna sees it.

    Attributes:
        name: Optuna's name for it: the hyperparameter's own, unless that name already stands for another range.
        distribution: what Optuna samples.
        decode: from what Optuna sampled to the hyperparameter's value.
        encode: the inverse. Both raise ValueError for what is not in their range.
    """

    name: str
    distribution: BaseDistribution
    decode: Callable[[Any], Value]
    encode: Callable[[Value], Any]


def distribution_of(hp: kt.HyperParameter) -> Parameter | None:
    """The Optuna parameter of `hp`; None for a Fixed one, which has nothing to sample.

    Choice and Boolean become categorical, Int and Float their namesakes with the same values: KerasTuner's rule decides
    which values a step reaches (`Float(0, 1, step=.2)` ends at .8). A logarithmic range with a step becomes the index
    of its value, and a reverse logarithmic one the logarithmic distance from its upper end.

    Raises SpaceError for what no study could hold: see `_check`.
    """
    _check(hp)
    match hp:
        case kt.Fixed():
            return None
        case kt.Boolean():
            return _categorical(hp.name, [False, True])
        case kt.Choice():
            return _categorical(hp.name, list(hp.values))
        case kt.Int() if hp.step is not None and hp.sampling == "linear":
            high = hp.max_value - (hp.max_value - hp.min_value) % hp.step
            return Parameter(hp.name, IntDistribution(hp.min_value, high, step=hp.step), int, _whole)
        case kt.Float() if hp.step is not None and hp.sampling == "linear":
            return _stepped(hp)
        case kt.Int() | kt.Float() if hp.step is not None:
            return _indexed(hp.name, _progression(hp))
        case kt.Int():
            scale = IntDistribution(hp.min_value, hp.max_value, log=hp.sampling != "linear")
            return _continuous(hp, scale, _whole)
        case kt.Float():
            scale = FloatDistribution(hp.min_value, hp.max_value, log=hp.sampling != "linear")
            return _continuous(hp, scale, _number)
        case _:
            raise SpaceError(
                f"hyperparameter {hp.name!r} is a {type(hp).__name__}: Kerastuna knows KerasTuner's own kinds"
            )


def _check(hp: Any) -> None:
    """Raise SpaceError for what KerasTuner accepts and a study cannot hold."""
    if not isinstance(hp.name, str):
        raise SpaceError(f"hyperparameter {hp.name!r}: give it a name that is text")
    if isinstance(hp, kt.Choice | kt.Fixed):
        for value in hp.values if isinstance(hp, kt.Choice) else [hp.value]:
            if isinstance(value, float) and not math.isfinite(value):
                raise SpaceError(f"hyperparameter {hp.name!r} = {value}, which JSON does not know: give finite values")
    if not isinstance(hp, kt.Int | kt.Float):
        return
    if hp.step is not None and not 0 < hp.step < math.inf:
        raise SpaceError(f"hyperparameter {hp.name!r} has a step of {hp.step}: give one above 0, or none")
    if isinstance(hp, kt.Int) and max(abs(hp.min_value), abs(hp.max_value)) > LARGEST_INT:
        raise SpaceError(f"hyperparameter {hp.name!r} is {_bounds(hp)}: give bounds of at most 2**53 either way")
    if not math.isfinite(hp.max_value - hp.min_value):
        raise SpaceError(f"hyperparameter {hp.name!r} is {_bounds(hp)}: give bounds that are finite")


def _categorical(name: str, choices: list[Value]) -> Parameter:
    def choice(value: Value) -> Value:
        return choices[choices.index(value)]  # 1 and True are equal: the one that was declared

    return Parameter(name, CategoricalDistribution(choices), choice, choice)


def _continuous(hp: Any, distribution: BaseDistribution, number: Callable[[Value], Any]) -> Parameter:
    if hp.sampling != "reverse_log":
        return Parameter(hp.name, distribution, number, number)
    low, high = hp.min_value, hp.max_value

    def mirrored(value: Value) -> Any:
        if not low <= number(value) <= high:
            raise ValueError(value)
        return min(max(low + high - number(value), low), high)  # which rounding may leave

    return Parameter(hp.name, distribution, mirrored, mirrored)


def _stepped(hp: Any) -> Parameter:
    low, step = hp.min_value, float(hp.step)
    count = int((hp.max_value - low) // step) + 1
    if count > LARGEST_INT:
        raise SpaceError(f"hyperparameter {hp.name!r} has a step of {step}, too small to be counted: leave it out")

    def value_at(index: Any) -> float:
        if not 0 <= index < count:
            raise ValueError(index)
        return low + int(index) * step

    def index_of(value: Value) -> int:
        index = round((_number(value) - low) / step)
        if not 0 <= index < count or not math.isclose(low + index * step, _number(value), abs_tol=step * 1e-6):
            raise ValueError(value)
        return index

    high = float(Decimal(str(low)) + (count - 1) * Decimal(str(step)))
    if count > MANY_STEPS or (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
        # Optuna computes in decimals. It would not reach the last value of a step such as a third, and it miscounts
        # when there are many steps.
        return Parameter(hp.name, IntDistribution(0, count - 1), value_at, index_of)
    return Parameter(
        hp.name,
        FloatDistribution(low, high, step=step),
        lambda sampled: low + index_of(sampled) * step,  # to the last bit what KerasTuner makes of it
        lambda value: min(low + index_of(value) * step, high),
    )


def _progression(hp: Any) -> list[Any]:
    values = list(hp.values)
    return [int(value) for value in values] if isinstance(hp, kt.Int) else [float(value) for value in values]


def _indexed(name: str, values: Sequence[Any]) -> Parameter:
    def value_at(index: Any) -> Any:
        if not 0 <= index < len(values):
            raise ValueError(index)
        return values[int(index)]

    def index_of(value: Value) -> int:
        index = min(range(len(values)), key=lambda index: abs(values[index] - _number(value)))
        if not math.isclose(values[index], _number(value)):
            raise ValueError(value)
        return index

    return Parameter(name, IntDistribution(0, len(values) - 1), value_at, index_of)


def _number(value: Value) -> float:
    if isinstance(value, str):
        raise ValueError(value)
    return float(value)


def _whole(value: Value) -> int:
    if _number(value) != int(value):
        raise ValueError(value)
    return int(value)


@final
class ParameterSpace:
    """The hyperparameters of a space, in order, with KerasTuner's rule of which are active.

    Args:
        space: `HyperParameters.space`: parents stand before what depends on them.
    """

    def __init__(self, space: Iterable[kt.HyperParameter]) -> None:
        self._hyperparameters: list[Any] = list(space)  # KerasTuner types its defaults as optional
        self._parameters: list[Parameter | None] = []
        known: dict[str, BaseDistribution] = {}
        for hp in self._hyperparameters:
            parameter = distribution_of(hp)
            if (
                parameter is not None
                and known.setdefault(parameter.name, parameter.distribution) != parameter.distribution
            ):
                # KerasTuner allows one name with several ranges, under conditions. Optuna needs a name for each.
                parameter = replace(parameter, name=f"{parameter.name} [{_conditions(hp)}]")
                known[parameter.name] = parameter.distribution
            self._parameters.append(parameter)

    def __len__(self) -> int:
        return len(self._hyperparameters)

    def fill(self, suggest: Callable[[Parameter], Any]) -> dict[str, Value]:
        """The value of every active hyperparameter, those with something to sample from `suggest` (in Optuna's terms).

        Raises ValueError when `suggest` gives what is not in the range of a hyperparameter.
        """
        values: dict[str, Value] = {}
        for hp, parameter in self._pairs():
            if _is_active(hp, values):
                values[hp.name] = hp.default if parameter is None else parameter.decode(suggest(parameter))
        return values

    def encode(self, values: Values) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Optuna's parameters and their distributions for the active values among `values`.

        Raises SpaceError when a value is missing or not in its range.
        """
        parameters: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        active: dict[str, Value] = {}
        for hp, parameter in self._pairs():
            if not _is_active(hp, active):
                continue
            if parameter is None:
                active[hp.name] = hp.default
                continue
            if hp.name not in values:
                raise SpaceError(f"hyperparameter {hp.name!r} has no value: give every active one of the space")
            encoded = _encoded(parameter, hp, values[hp.name])
            active[hp.name] = parameter.decode(encoded)
            parameters[parameter.name] = encoded
            distributions[parameter.name] = parameter.distribution
        return parameters, distributions

    @property
    def tunable(self) -> set[str]:
        """The names of the hyperparameters that have something to sample."""
        return {hp.name for hp, parameter in self._pairs() if parameter is not None}

    def points(self, limit: int, given: Mapping[str, Sequence[Value]] | None = None) -> list[dict[str, Value]] | None:
        """Every point of the space; None when there are more than `limit`, or infinitely many.

        With `given`, values by hyperparameter, only points with one of them; raises SpaceError for one outside the
        space.
        """
        points: list[dict[str, Value]] = [{}]
        for hp, parameter in self._pairs():
            if parameter is None:
                choices = [hp.default]
            elif given is not None and hp.name in given:
                choices = [parameter.decode(_encoded(parameter, hp, value)) for value in dict.fromkeys(given[hp.name])]
            else:
                choices = _choices(parameter, limit)
            extended: list[dict[str, Value]] = []
            for values in points:
                if not _is_active(hp, values):
                    extended.append(values)
                elif choices is None:
                    return None
                else:
                    extended += [{**values, hp.name: choice} for choice in choices]
                if len(extended) > limit:
                    return None
            points = extended
        return points

    def whole_numbers(self, values: Values, limit: int) -> dict[str, list[int]]:
        """The values, in ascending order, of every `Int` that is active in `values` and has at most `limit` of them.

        But for those on whose values it depends which others are active.
        """
        parents = {condition.name for hp in self._hyperparameters for condition in hp.conditions}
        listed: dict[str, list[int]] = {}
        active: dict[str, Value] = {}
        for hp, parameter in self._pairs():
            if not _is_active(hp, active):
                continue
            active[hp.name] = values[hp.name]
            if not isinstance(hp, kt.Int) or parameter is None or hp.name in parents:
                continue
            if choices := _choices(parameter, limit):
                listed[hp.name] = sorted(map(int, choices))
        return listed

    def unlistable(self, limit: int) -> list[str]:
        """The hyperparameters with more than `limit` values, or infinitely many."""
        return [hp.name for hp, parameter in self._pairs() if parameter and _choices(parameter, limit) is None]

    def describe(self) -> list[dict[str, Any]]:
        """Every hyperparameter as KerasTuner declares it, JSON-able: what identifies the space."""
        return [{"kind": type(hp).__name__, **hp.get_config()} for hp in self._hyperparameters]

    def _pairs(self) -> Iterable[tuple[Any, Parameter | None]]:
        return zip(self._hyperparameters, self._parameters, strict=True)


def values_key(values: Values) -> str:
    """A text that two sets of values share only when they are equal."""
    return json.dumps(dict(values), sort_keys=True, default=str)


def _is_active(hp: kt.HyperParameter, values: Values) -> bool:
    return hp.name not in values and all(condition.is_active(values) for condition in hp.conditions)


def _conditions(hp: kt.HyperParameter) -> str:
    return ", ".join(f"{condition.name} in {list(condition.values)}" for condition in hp.conditions)


def _encoded(parameter: Parameter, hp: kt.HyperParameter, value: Value) -> Any:
    try:
        encoded = parameter.encode(value)
        # Optuna checks a value against its distribution when it makes a trial.
        create_trial(
            state=TrialState.RUNNING,
            params={parameter.name: encoded},
            distributions={parameter.name: parameter.distribution},
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise SpaceError(f"hyperparameter {hp.name!r} = {value!r} is outside the space: give {_bounds(hp)}") from error
    return encoded


def _choices(parameter: Parameter, limit: int) -> list[Value] | None:
    match parameter.distribution:
        case CategoricalDistribution(choices=choices):
            return [parameter.decode(choice) for choice in choices]
        case IntDistribution(low=low, high=high, step=step) if (high - low) // step < limit:
            return [parameter.decode(number) for number in range(low, high + 1, step)]
        case FloatDistribution(low=low, high=high, step=float(step)) if (high - low) / step < limit:
            return [parameter.decode(low + index * step) for index in range(round((high - low) / step) + 1)]
        case FloatDistribution(low=low, high=high) if low == high:
            return [parameter.decode(low)]
        case _:
            return None


def _bounds(hp: Any) -> str:
    if not isinstance(hp, kt.Int | kt.Float):
        return "one of " + ", ".join(repr(value) for value in hp.values)
    bounds = f"a {'whole ' if isinstance(hp, kt.Int) else ''}number from {hp.min_value} to {hp.max_value}"
    if hp.step in (None, 1):
        return bounds
    return f"{bounds} in {'steps' if hp.sampling == 'linear' else 'factors'} of {hp.step}"
