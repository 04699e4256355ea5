"""What answers where the table of trained networks has no point: a regression on it, and the noise of training."""

import math
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerastuna.search.proposals.distributions import Values, values_key
from kerastuna.search.study.seeds import derive_seed

from .clock import World
from .features import features_at
from .table import Course, Table, Training, counted, mean_curve, seconds_of

LOWEST, HIGHEST = 0.02, 0.9975
"""Accuracies are kept within these, so that their logarithm of odds is finite."""
NEAREST = 6
"""The noise of a point is drawn from that of so many repeated networks, the nearest in accuracy."""
FOLDS = 10


def odds(accuracies: Any) -> np.ndarray:
    """The logarithm of the odds of accuracies."""
    kept = np.clip(np.asarray(accuracies, dtype=float), LOWEST, HIGHEST)
    return np.log(kept / (1 - kept))


def accuracy(odds_of: Any) -> np.ndarray:
    """The accuracies of which these are the logarithms of the odds."""
    return 1 / (1 + np.exp(-np.asarray(odds_of)))


@final
@dataclass(frozen=True)
class Error:
    """How well a surrogate tells the accuracy after all epochs of networks that it was not fitted on.

    Attributes:
        networks: that it was tried on, in `FOLDS` folds.
        mean, median: absolute error of the accuracy.
        rank: Spearman's correlation.
        mean_of_best, rank_of_best: the same of the better half of the networks.
    """

    networks: int
    mean: float
    median: float
    rank: float
    mean_of_best: float
    rank_of_best: float


@final
class Surrogate:
    """A Gaussian process on the features of the points, for the logarithm of the odds of the accuracies.

    Another one, on the trainings of the header's machine alone, is for the logarithm of the seconds.

    Args:
        table: that it is fitted on. Networks with several trainings count once, by their mean.

    Raises ValueError where no training is of the header's machine.
    """

    def __init__(self, table: Table) -> None:
        self._epochs, self._images = table.epochs, int(table.header["images"][0])
        self._known: dict[str, Course] = {}
        timed = [
            (trainings[0].values, seconds)
            for trainings in table.points
            if (seconds := seconds_of(trainings)) is not None
        ]
        if not timed:
            raise ValueError(f"the table has no training on {table.header['hardware']}, the machine of its first line")
        self._x = np.array([self.features(trainings[0].values) for trainings in table.points])
        self._y = np.array([odds(mean_curve(trainings)) for trainings in table.points])
        self._accuracies = _fitted(self._x, self._y)
        self._seconds = _fitted(
            np.array([self.features(values) for values, _ in timed]),
            np.log(np.maximum([seconds for _, seconds in timed], 0.001)),
        )

    def features(self, values: Values) -> np.ndarray:
        """The features of a point."""
        return features_at(values, self._epochs, self._images)

    def course(self, values: Values) -> Course:
        """The course at `values`, without noise."""
        key = values_key(values)
        if key not in self._known:
            features = self.features(values)[None]
            curve = tuple(float(value) for value in accuracy(self._accuracies.predict(features)[0]))
            self._known[key] = Course(curve, *map(math.exp, self._seconds.predict(features)[0]))
        return self._known[key]

    def error(self) -> Error:
        """The error on networks that were left out, by cross-validation."""
        told, right = np.empty(len(self._x)), accuracy(self._y[:, -1])
        for train, test in KFold(min(FOLDS, len(self._x)), shuffle=True, random_state=0).split(self._x):
            told[test] = accuracy(_fitted(self._x[train], self._y[train]).predict(self._x[test])[:, -1])
        off, best = np.abs(told - right), right >= np.median(right)
        return Error(
            len(right),
            float(off.mean()),
            float(np.median(off)),
            _rank_correlation(told, right),
            float(off[best].mean()),
            _rank_correlation(told[best], right[best]),
        )


def _rank_correlation(some: np.ndarray, others: np.ndarray) -> float:
    """Spearman's correlation; of equal values the earlier one ranks lower."""
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (some, others)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _fitted(x: np.ndarray, y: np.ndarray) -> Any:
    kernel = ConstantKernel(1.0) * Matern(8.0, (0.5, 100.0), nu=1.5) + WhiteKernel(0.1, (0.001, 10.0))
    model = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound
        return model.fit(x, y)


@final
class Noise:
    """How trainings of one network differ by their seeds, from the networks that were trained from several.

    Args:
        table: with networks that were trained more than once.

    Attributes:
        networks: that were trained more than once.
        sources: how many of them come from each source.
        deviation: the standard deviation of the accuracy after all epochs, pooled.
        deviation_of_best: the same, of the better half of these networks.
    """

    def __init__(self, table: Table) -> None:
        repeated = [trainings for trainings in table.points if len(trainings) > 1]
        self.networks = len(repeated)
        self.sources = counted(trainings[0].source for trainings in repeated)
        self._levels = np.array([odds(mean_curve(trainings))[-1] for trainings in repeated])
        self._residuals = [_residuals(trainings) for trainings in repeated]
        finals = [np.array([training.curve[-1] for training in trainings]) for trainings in repeated]
        self.deviation = _pooled(finals)
        middle = np.median(self._levels) if repeated else 0.0
        self.deviation_of_best = _pooled(
            [final for final, level in zip(finals, self._levels, strict=True) if level >= middle]
        )

    def added_to(self, curve: Sequence[float], draw: random.Random) -> tuple[float, ...]:
        """The curve as one training would show it."""
        if not self.networks:
            return tuple(curve)
        near = np.argsort(np.abs(self._levels - odds(curve)[-1]), kind="stable")[:NEAREST]
        residuals = draw.choice([residual for place in near for residual in self._residuals[place]])
        return tuple(float(value) for value in accuracy(odds(curve) + residuals))


def _residuals(trainings: Sequence[Training]) -> list[np.ndarray]:
    """How far each training is from their mean, made as large as it is from the unknown mean of all seeds."""
    curves = odds([training.curve for training in trainings])
    return list((curves - curves.mean(axis=0)) * math.sqrt(len(curves) / (len(curves) - 1)))


def _pooled(groups: Sequence[np.ndarray]) -> float:
    return math.sqrt(np.mean([group.var(ddof=1) for group in groups])) if groups else 0.0


def world_of(table: Table, surrogate: Surrogate, noise: Noise, seed: int) -> World:
    """What training brings in the search with this seed: the table's course, or the surrogate's, and the noise.

    The surrogate tells the seconds of a network that was trained on other machines only, too. A point has the same
    noise for every contender.
    """

    def course(values: Values) -> Course:
        if not (known := table.of(values)):
            return surrogate.course(values)
        if (seconds := seconds_of(known)) is None:
            told = surrogate.course(values)
            seconds = told.epoch_seconds, told.first_seconds
        return Course(mean_curve(known), *seconds)

    def observed(values: Values) -> Course:
        plain = course(values)
        draw = random.Random(derive_seed(seed, "noise", values_key(values)))
        return Course(noise.added_to(plain.curve, draw), plain.epoch_seconds, plain.first_seconds)

    return World(observed, lambda values: course(values).curve[-1])


WorldOf = Callable[[int], World]
"""From a search seed to its world."""
