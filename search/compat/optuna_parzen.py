"""Parzen estimators of Optuna's TPE that keep what their densities have in common.

Optuna's own computes all of it again for every proposal. The samples are Optuna's, and its functions compute the
densities in its order. A density may differ in its last bit: Optuna's `erf` is another one for large arrays.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import (
    _BatchedCategoricalDistributions,
    _log_gauss_mass_unique,
    _unique_inverse_2d,
)

Samples = dict[str, np.ndarray]
"""Values by the name of their parameter, in the terms of TPE."""


@final
class Estimator:
    """A Parzen estimator that keeps what its densities have in common."""

    def __init__(self, estimator: _ParzenEstimator) -> None:
        self._estimator = estimator
        mixture = estimator._mixture_distribution
        self._log_weights = np.log(mixture.weights[np.newaxis])
        continuous = [
            index
            for index, part in enumerate(mixture.distributions)
            if not isinstance(part, _BatchedCategoricalDistributions) and part.step == 0
        ]
        self._discrete = [
            (index, _Choices(part) if isinstance(part, _BatchedCategoricalDistributions) else _Grid(part))
            for index, part in enumerate(mixture.distributions)
            if index not in continuous
        ]
        self._continuous = _Continuous(continuous, mixture.distributions) if continuous else None
        self._known: dict[float, float] | None = None if continuous or len(self._discrete) > 1 else {}

    def sample(self, numbers: np.random.RandomState, size: int) -> Samples:
        return self._estimator.sample(numbers, size)

    def log_pdf(self, samples: Samples) -> np.ndarray:
        """As `_ParzenEstimator.log_pdf`."""
        points = self._estimator._transform(samples)
        if self._known is None:
            return self._densities(points)
        values = points[:, 0].tolist()
        if new := sorted(set(values) - self._known.keys()):
            self._known.update(zip(new, self._densities(np.array(new)[:, np.newaxis]), strict=True))
        return np.array([self._known[value] for value in values])

    def _densities(self, points: np.ndarray) -> np.ndarray:
        totals = np.zeros((len(points), self._log_weights.shape[1]))
        for index, part in self._discrete:
            part.add(totals, points[:, index])
        if self._continuous is not None:
            totals += self._continuous.densities(points)
        totals += self._log_weights
        largest = totals.max(axis=1)
        largest[np.isneginf(largest)] = 0
        with np.errstate(divide="ignore"):
            return np.log(np.exp(totals - largest[:, None]).sum(axis=1)) + largest


class _Table(ABC):
    """The log densities of a discrete parameter: a row for each value that was asked for, with those in each kernel."""

    def __init__(self) -> None:
        self._places: dict[float, int] = {}
        self._rows: np.ndarray | None = None

    def add(self, totals: np.ndarray, values: np.ndarray) -> None:
        """Add the densities at `values` to `totals`."""
        asked = values.tolist()
        if new := sorted(set(asked) - self._places.keys()):
            rows = self._new_rows(np.array(new))
            self._places |= {value: place for place, value in enumerate(new, start=len(self._places))}
            self._rows = rows if self._rows is None else np.concatenate((self._rows, rows))
        assert self._rows is not None
        totals += self._rows[[self._places[value] for value in asked]]

    @abstractmethod
    def _new_rows(self, values: np.ndarray) -> np.ndarray: ...


@final
class _Choices(_Table):
    def __init__(self, part: _BatchedCategoricalDistributions) -> None:
        super().__init__()
        self._weights = part.weights

    def _new_rows(self, values: np.ndarray) -> np.ndarray:
        return np.log(self._weights[:, values.astype(np.int64)].T)


@final
class _Grid(_Table):
    def __init__(self, part: Any) -> None:
        super().__init__()
        self._part = part
        self._mu, self._sigma, self._inverse = _unique_inverse_2d(part.mu, part.sigma)
        low, high = ((end - self._mu) / self._sigma for end in (part.adapted_low, part.adapted_high))
        self._mass = _truncnorm._log_gauss_mass(low, high)[self._inverse]

    def _new_rows(self, values: np.ndarray) -> np.ndarray:
        ends = values - self._part.step / 2, values + self._part.step / 2
        low, high = ((np.log(end) if self._part.is_log else end)[:, np.newaxis] for end in ends)
        masses = _log_gauss_mass_unique((low - self._mu) / self._sigma, (high - self._mu) / self._sigma)
        return masses[:, self._inverse]

    def add(self, totals: np.ndarray, values: np.ndarray) -> None:
        super().add(totals, values)
        totals -= self._mass


@final
class _Continuous:
    """The continuous parameters. Their arrays have the order in memory that Optuna's have: sums depend on it."""

    def __init__(self, indices: Sequence[int], parts: Sequence[Any]) -> None:
        self._indices, self._is_log = indices, [parts[index].is_log for index in indices]
        chosen = [parts[index] for index in indices]
        self._mus = np.asarray([part.mu for part in chosen]).T
        self._sigmas = np.asarray([part.sigma for part in chosen]).T
        self._low = (np.asarray([part.adapted_low for part in chosen]) - self._mus) / self._sigmas
        self._high = (np.asarray([part.adapted_high for part in chosen]) - self._mus) / self._sigmas
        self._mass = _truncnorm._log_gauss_mass(self._low, self._high)
        self._log_sigmas = np.log(self._sigmas)

    def densities(self, points: np.ndarray) -> np.ndarray:
        columns = [
            np.log(points[:, index]) if is_log else points[:, index]
            for index, is_log in zip(self._indices, self._is_log, strict=True)
        ]
        x = (np.asarray(columns).T[:, np.newaxis, :] - self._mus) / self._sigmas
        densities = _truncnorm._norm_logpdf(x) - self._mass - self._log_sigmas
        x, low, high = np.broadcast_arrays(x, self._low, self._high)
        outside = (x < low) | (x > high)
        return np.select([low == high, outside], [np.nan, -np.inf], default=densities).sum(axis=-1)
