"""Optuna's TPE without its repeated work: it makes the same proposals, many times faster.

Optuna reads, sorts and models all trials once for each parameter of each proposal. Here what was made of the trials is
kept until they change. Optuna has no public way to its estimators. Every number is computed by Optuna's own functions,
in Optuna's order, so that a proposal is the same to the last bit; tests/compat/test_optuna_tpe.py compares them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self, final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import (
    _BatchedCategoricalDistributions,
    _log_gauss_mass_unique,
    _unique_inverse_2d,
)
from optuna.samplers._tpe.sampler import (
    _get_infeasible_trial_score,
    _get_pruned_trial_score,
    _split_trials,
    default_gamma,
    default_gamma_multiobjective,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

Space = Mapping[str, BaseDistribution]
Samples = dict[str, np.ndarray]
LEARNT = (TrialState.COMPLETE, TrialState.PRUNED)


@final
class KeepingTpe(TPESampler):
    """`TPESampler` with its default arguments, for one study, which one thread at a time asks for proposals.

    Call `seeded` before each proposal.
    """

    def __init__(self) -> None:
        super().__init__(seed=0)
        self._history: _History | None = None

    def seeded(self, seed: int) -> Self:
        """Go on as a new `TPESampler(seed=seed)` would. Making a new one takes longer than a short proposal."""
        for numbers in (self._rng, self._random_sampler._rng):
            numbers.rng.seed(seed)
        return self

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if self._history is None or self._history.study is not study:
            self._history = _History(study)
        self._history.update(trial.number)
        return self._history.common if self._is_multivariate(study) else {}

    def _sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space or self._known(study).finished < self._n_startup_trials:
            return {}
        return self._sample(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self._known(study).finished < self._n_startup_trials:
            return self._random_sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._sample(study, trial, {param_name: param_distribution})[param_name]

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        below, above = self._known(study).estimators(self, search_space)
        samples = below.sample(self._rng.rng, self._n_ei_candidates)
        chosen: dict[str, Any] = self._compare(samples, below.log_pdf(samples) - above.log_pdf(samples))
        return {name: search_space[name].to_external_repr(value) for name, value in chosen.items()}

    def _known(self, study: optuna.Study) -> "_History":
        assert self._history is not None, "infer_relative_search_space comes first"
        return self._history


@final
class _History:
    """The trials of a study that TPE learns from, as arrays, and the estimators made of them."""

    def __init__(self, study: optuna.Study) -> None:
        self.study = study
        self.common: dict[str, BaseDistribution] = {}  # what all finished trials share and is varied, by name
        self._shared: dict[str, BaseDistribution] | None = None
        self._read = 0
        self._open: list[int] = []  # numbers of the trials that were not finished when they were read
        self._finished: list[FrozenTrial] = []  # in the order in which they finished
        self._running: list[FrozenTrial] = []  # those of other workers
        self._columns: dict[str, _Column] = {}
        self._estimators: dict[tuple[str, ...], tuple[Space, _Estimator, _Estimator]] = {}
        self._numbers, self._groups, self._ranks = _Floats(), _Floats(), _Floats()
        self._steps = _Floats()
        self._order = np.empty(0, dtype=int)  # from the finished trials, then the running ones, to those by number
        self._is_below: np.ndarray | None = None  # by number; None: not known yet

    @property
    def finished(self) -> int:
        """How many trials finished."""
        return len(self._finished)

    def update(self, current: int) -> None:
        """Read what is new; `current` is the number of the trial that is asked for."""
        trials = self.study.get_trials(deepcopy=False)
        looked_at = [trials[number] for number in self._open] + trials[self._read :]
        new = [trial for trial in looked_at if trial.state in LEARNT]
        unfinished = [trial for trial in looked_at if not trial.state.is_finished()]
        running = [trial for trial in unfinished if trial.state == TrialState.RUNNING and trial.number != current]
        self._read, self._open = len(trials), [trial.number for trial in unfinished]
        if new or list(map(id, running)) != list(map(id, self._running)):
            self._running = running
            self._enter(new)
            self._estimators, self._is_below = {}, None

    def _enter(self, trials: Sequence[FrozenTrial]) -> None:
        for trial in trials:
            if self._shared is None:
                self._shared = dict(trial.distributions)
            else:
                others = trial.distributions
                self._shared = {name: kind for name, kind in self._shared.items() if others.get(name) == kind}
        shared = sorted((self._shared or {}).items())
        self.common = {name: kind for name, kind in shared if not kind.single()}
        self._finished += trials
        self._numbers.extend([trial.number for trial in trials])
        if len(self.study.directions) == 1:
            places = [self._place(trial) for trial in trials]
            for floats, values in zip(
                (self._groups, self._steps, self._ranks), zip(*places, strict=True), strict=False
            ):
                floats.extend(values)
        numbers = np.append(self._numbers.array, [trial.number for trial in self._running])
        self._order = np.argsort(numbers, kind="stable")

    def _place(self, trial: FrozenTrial) -> tuple[float, float, float]:
        """What TPE sorts a finished trial by, the best first: complete, pruned or infeasible; steps; its value."""
        if (violation := _get_infeasible_trial_score(trial)) > 0:
            return 2, 0, violation
        if trial.state == TrialState.PRUNED:
            return 1, *_get_pruned_trial_score(trial, self.study)
        assert trial.value is not None
        return 0, 0, trial.value if self.study.direction == StudyDirection.MINIMIZE else -trial.value

    def estimators(self, sampler: TPESampler, space: Space) -> tuple["_Estimator", "_Estimator"]:
        """The models of the good trials and of the others that have all parameters of `space`."""
        names = tuple(space)
        kept = self._estimators.get(names)
        if kept is None or kept[0] != space:
            kept = self._estimators[names] = (space, *self._made_estimators(sampler, space))
        return kept[1], kept[2]

    def _made_estimators(self, sampler: TPESampler, space: Space) -> tuple["_Estimator", "_Estimator"]:
        if self._is_below is None:
            self._is_below = self._split()
        columns = {name: self._column(sampler, name, distribution) for name, distribution in space.items()}
        has_all = ~np.isnan(sum(columns.values()))
        made: list[_Estimator] = []
        for good in (True, False):
            chosen = has_all & (self._is_below == good)
            observations = {name: column[chosen] for name, column in columns.items()}
            weights = np.ones(chosen.sum()) if good and len(self.study.directions) > 1 else None
            parameters = sampler._parzen_estimator_parameters
            made.append(_Estimator(_ParzenEstimator(observations, dict(space), parameters, weights)))
        return made[0], made[1]

    def _split(self) -> np.ndarray:
        """Whether each trial, by number, is one of the good ones."""
        if len(self.study.directions) > 1:
            trials = [([*self._finished, *self._running])[place] for place in self._order]
            good, _ = _split_trials(self.study, trials, default_gamma_multiobjective(self.finished))
            return np.isin([trial.number for trial in trials], [trial.number for trial in good])
        # Sorted as Optuna sorts them: trials that are equally good stay in the order of their numbers.
        keys = (self._numbers, self._ranks, self._steps, self._groups)
        best = np.lexsort([key.array for key in keys])[: default_gamma(self.finished)]
        is_below = np.zeros(len(self._order), dtype=bool)
        is_below[best] = True
        return is_below[self._order]

    def _column(self, sampler: TPESampler, name: str, distribution: BaseDistribution) -> np.ndarray:
        """The values of a parameter by number, in the terms of TPE; NaN where a trial does not have it."""
        column = self._columns.get(name)
        if column is None or column.distribution != distribution:
            column = self._columns[name] = _Column(name, distribution)
        running = [sampler._get_params(trial, self.study) for trial in self._running]
        return column.of(self._finished, running)[self._order]


@final
class _Floats:
    """An array that grows."""

    def __init__(self) -> None:
        self._buffer, self._length = np.empty(64), 0

    def __len__(self) -> int:
        return self._length

    @property
    def array(self) -> np.ndarray:
        return self._buffer[: self._length]

    def extend(self, values: Sequence[float]) -> None:
        length = self._length + len(values)
        if length > len(self._buffer):
            self._buffer = np.append(self.array, np.empty(length))
        self._buffer[self._length : length] = values
        self._length = length


@final
class _Column:
    """The values of a parameter in the trials that finished, which are read once."""

    def __init__(self, name: str, distribution: BaseDistribution) -> None:
        self.distribution = distribution
        self._name = name
        self._values = _Floats()

    def of(self, finished: Sequence[FrozenTrial], running: Sequence[Mapping[str, Any]]) -> np.ndarray:
        self._values.extend([self._value(trial.params) for trial in finished[len(self._values) :]])
        return np.append(self._values.array, [self._value(params) for params in running])

    def _value(self, params: Mapping[str, Any]) -> float:
        return self.distribution.to_internal_repr(params[self._name]) if self._name in params else np.nan


@final
class _Estimator:
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
    """The log densities of a discrete parameter: a row for each value, with the density in each kernel."""

    def __init__(self) -> None:
        self._rows: dict[float, np.ndarray] = {}

    def _of(self, values: np.ndarray) -> np.ndarray:
        asked = values.tolist()
        if new := sorted(set(asked) - self._rows.keys()):
            self._rows.update(zip(new, self._new_rows(np.array(new)), strict=True))
        return np.stack([self._rows[value] for value in asked])

    @abstractmethod
    def _new_rows(self, values: np.ndarray) -> np.ndarray: ...

    def add(self, totals: np.ndarray, values: np.ndarray) -> None:
        """Add the densities at `values` to `totals`."""
        totals += self._of(values)


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
