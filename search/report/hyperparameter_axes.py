"""How the values of hyperparameters are placed on the axes of figures, and which are shown."""

import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from ..errors import CannotDraw
from ..messages import shortened
from ..study.attributes import HYPERPARAMETERS

MOST_AXES = 8
MOST_LETTERS = 24
"""The most characters of a value beside an axis."""
TICK_DISTANCE = 0.09
"""The smallest distance of two ticks on an axis of length 1 at which their labels do not touch."""
INACTIVE = -0.13
"""The height at which a hyperparameter is drawn that a trial did not have; its axis goes from 0 to 1."""

Importances = Callable[[], Mapping[str, float]]
"""The result of `hyperparameter_figures.hyperparameter_importances`, or its CannotDraw."""


def most_telling(trials: Sequence[FrozenTrial], importances_of: Importances) -> list[str]:
    """The first names of `most_telling_first`, as many as a figure has axes. Raises CannotDraw as it does."""
    return most_telling_first(trials, importances_of)[:MOST_AXES]


def most_telling_first(trials: Sequence[FrozenTrial], importances_of: Importances) -> list[str]:
    """The names of the hyperparameters with several values: the most important first, else the most frequent.

    Raises CannotDraw where none has several values.
    """
    frequency = Counter(name for trial in trials for name in trial.params)
    seen = {name: {_value(trial, name) for trial in trials if name in trial.params} for name in frequency}
    varied = [name for name, count in frequency.most_common() if len(seen[name]) > 1]
    if not varied:
        raise CannotDraw("no hyperparameter has several values")
    try:
        importances = importances_of()
    except CannotDraw:
        return varied
    return [name for name in importances if name in varied] or varied


def scale(name: str, trials: Sequence[FrozenTrial]) -> tuple[list[float], list[tuple[float, str]]]:
    """The place of every trial on the axis of `name` (0 to 1, or INACTIVE), and the ticks of that axis."""
    having = [trial for trial in trials if name in trial.params]
    sampled = {trial.number: _sampled(trial, name) for trial in having}
    low, high = min(sampled.values()), max(sampled.values())
    heights = {number: (x - low) / (high - low) if high > low else 0.5 for number, x in sampled.items()}
    ticks: list[tuple[float, str]] = []
    for height, text in sorted({(heights[trial.number], _text(_value(trial, name))) for trial in having}):
        if not ticks or height == 1 or height - ticks[-1][0] >= TICK_DISTANCE:
            if ticks and height - ticks[-1][0] < TICK_DISTANCE:
                ticks.pop()
            ticks.append((height, text))
    return [heights.get(trial.number, INACTIVE) for trial in trials], ticks


def is_number(name: str, trials: Iterable[FrozenTrial]) -> bool:
    """Whether `name` is sampled as a number by all `trials` that have it, not as one of several choices."""
    having = [trial for trial in trials if name in trial.params]
    return not any(isinstance(trial.distributions[name], CategoricalDistribution) for trial in having)


def is_logarithmic(name: str, trials: Iterable[FrozenTrial]) -> bool:
    """Whether equal distances on the axis of `name`, which is a number, are equal ratios, not equal differences."""
    having = [trial for trial in trials if name in trial.params]
    if any(getattr(trial.distributions[name], "log", False) for trial in having):
        return True
    # Of a logarithmic range with a step, Optuna samples the index of the value.
    sampled, values = (np.array([f(trial, name) for trial in having], float) for f in (_sampled, _value))
    return bool(np.ptp(values) > 0 and not np.isclose(abs(np.corrcoef(sampled, values)[0, 1]), 1, rtol=0, atol=1e-9))


def folded(name: str) -> str:
    """`name` on several lines, with breaks after underscores."""
    return "\n".join(textwrap.wrap(name.replace("_", "_ "), 12)).replace("_ ", "_")


def _value(trial: FrozenTrial, name: str) -> Any:
    """The value as KerasTuner knows it; Optuna may have sampled another number for it, such as an index."""
    return trial.user_attrs.get(HYPERPARAMETERS, {}).get(name, trial.params[name])


def _sampled(trial: FrozenTrial, name: str) -> float:
    """The value that Optuna sampled as a number: an index for a choice, the exponent on a logarithmic scale."""
    distribution, value = trial.distributions[name], trial.params[name]
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices.index(value)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return math.log10(value) if distribution.log else float(value)


def _text(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else shortened(str(value), MOST_LETTERS)
