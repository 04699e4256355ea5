"""Optuna's TPE without its repeated work: it makes the same proposals, many times faster.

Optuna reads, sorts and models all trials once for each parameter of each proposal. Here what was made of the trials is
kept until they change. Optuna has no public way to its estimators. tests/compat/test_optuna_tpe.py compares the
proposals with Optuna's own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self, final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.sampler import (
    _get_infeasible_trial_score,
    _get_pruned_trial_score,
    _split_trials,
    default_gamma,
    default_gamma_multiobjective,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .optuna_parzen import Estimator

Space = Mapping[str, BaseDistribution]
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
        self._estimators: dict[tuple[str, ...], tuple[Space, Estimator, Estimator]] = {}
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

    def estimators(self, sampler: TPESampler, space: Space) -> tuple[Estimator, Estimator]:
        """The models of the good trials and of the others that have all parameters of `space`."""
        names = tuple(space)
        kept = self._estimators.get(names)
        if kept is None or kept[0] != space:
            kept = self._estimators[names] = (space, *self._made_estimators(sampler, space))
        return kept[1], kept[2]

    def _made_estimators(self, sampler: TPESampler, space: Space) -> tuple[Estimator, Estimator]:
        if self._is_below is None:
            self._is_below = self._split()
        columns = {name: self._column(sampler, name, distribution) for name, distribution in space.items()}
        has_all = ~np.isnan(sum(columns.values()))
        made: list[Estimator] = []
        for good in (True, False):
            chosen = has_all & (self._is_below == good)
            observations = {name: column[chosen] for name, column in columns.items()}
            weights = np.ones(chosen.sum()) if good and len(self.study.directions) > 1 else None
            parameters = sampler._parzen_estimator_parameters
            made.append(Estimator(_ParzenEstimator(observations, dict(space), parameters, weights)))
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
