"""Optuna's samplers and pruners by name, and the seeds they start from."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, final

import optuna
from optuna import samplers
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from ...spaces.errors import InputError
from ..study.seeds import derive_seed
from .distributions import Parameter
from .grid import Grid

AtNumber = Callable[[int], samplers.BaseSampler]
"""From the number of a proposal to the sampler that makes it."""


SAMPLERS: Mapping[str, Callable[[int], AtNumber]] = {
    "tpe": lambda seed: _Tpe.at(seed),
    "random": lambda seed: lambda number: samplers.RandomSampler(seed=derive_seed(seed, "random", number)),
    "gp": lambda seed: (
        lambda number: samplers.GPSampler(seed=derive_seed(seed, "gp", number), warn_independent_sampling=False)
    ),
    "cmaes": lambda seed: (
        lambda number: samplers.CmaEsSampler(seed=derive_seed(seed, "cmaes", number), warn_independent_sampling=False)
    ),
    "nsga2": lambda seed: _Nsga2.at(seed),
    "qmc": lambda seed: lambda number: _PointOfSequence(derive_seed(seed, "qmc"), number),
    "grid": lambda seed: Grid(derive_seed(seed, "grid")),
}
"""By name, from the seed of a study."""


_PACKAGES = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",), "qmc": ("scipy",)}
"""What Optuna imports only when a sampler is made, or when it makes its tenth proposal."""


_PACKAGES_OF_KIND: Mapping[type[samplers.BaseSampler], tuple[str, ...]] = {
    samplers.GPSampler: _PACKAGES["gp"],
    samplers.CmaEsSampler: _PACKAGES["cmaes"],
    samplers.QMCSampler: _PACKAGES["qmc"],
}


def sampler_for(sampler: str | samplers.BaseSampler, seed: int) -> AtNumber:
    """From a proposal's number to the sampler that makes it, for one study.

    A sampler that is named is made anew for each proposal, seeded by the study's `seed` and the proposal's number, so
    that a study that is resumed goes on and never repeats itself. An instance is used as it is, with whatever state it
    has; in the place of a GridSampler or BruteForceSampler, which end Optuna's own loop, stands a `Grid` of the same
    points. Raises InputError for an unknown name, and for a sampler whose package is not installed.
    """
    if isinstance(sampler, samplers.BaseSampler):
        return _for_instance(sampler, seed)
    if sampler not in SAMPLERS:
        raise InputError(
            f"sampler {sampler!r} is unknown: choose one of {', '.join(SAMPLERS)}, or give an Optuna sampler"
        )
    _demand(_PACKAGES.get(sampler, ()), sampler)
    return SAMPLERS[sampler](seed)


def _for_instance(sampler: samplers.BaseSampler, seed: int) -> AtNumber:
    kind = type(sampler)
    if isinstance(sampler, samplers.GridSampler) and kind is samplers.GridSampler:
        return Grid(derive_seed(seed, "grid"), sampler._search_space, kind.__name__)
    if kind is samplers.BruteForceSampler:
        return Grid(derive_seed(seed, "grid"), name=kind.__name__)
    innermost = sampler
    while isinstance(innermost, samplers.PartialFixedSampler):
        innermost = innermost._base_sampler
    if isinstance(innermost, samplers.GridSampler | samplers.BruteForceSampler):
        raise InputError(
            f"sampler {kind.__name__} would end a loop of Optuna's, which is not running here: give Optuna's "
            'GridSampler or BruteForceSampler as it is, or "grid"'
        )
    for known, packages in _PACKAGES_OF_KIND.items():
        if isinstance(innermost, known):
            _demand(packages, kind.__name__)
    return lambda number: sampler


def _demand(packages: Sequence[str], sampler: str) -> None:
    if missing := [package for package in packages if find_spec(package) is None]:
        raise InputError(
            f"sampler {sampler!r} needs {' and '.join(missing)}, which is not installed: "
            "pip install 'kerastuna[samplers]', or choose another sampler"
        )


def fixed_by(sampler: samplers.BaseSampler) -> dict[str, Any]:
    """The parameters that `sampler` never changes, in Optuna's terms."""
    if not isinstance(sampler, samplers.PartialFixedSampler):
        return {}
    return fixed_by(sampler._base_sampler) | sampler._fixed_params


def random_sampler(seed: int, fixed: Mapping[str, Any]) -> samplers.BaseSampler:
    """A random sampler that keeps to the parameters in `fixed`."""
    sampler = samplers.RandomSampler(seed=seed)
    if not fixed:
        return sampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return samplers.PartialFixedSampler(dict(fixed), sampler)


def suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    """What the sampler of `trial` chooses for `parameter`, in Optuna's terms."""
    name = parameter.name
    match parameter.distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case other:
            raise AssertionError(f"no such distribution is ever made: {other}")


@final
class _Tpe(samplers.TPESampler):
    """TPE, with what all trials have in common known from the proposal before: to find out took a third of its time."""

    def __init__(self, seed: int, common: IntersectionSearchSpace) -> None:
        super().__init__(seed=seed)
        self._common = common

    @classmethod
    def at(cls, seed: int) -> AtNumber:
        common = IntersectionSearchSpace(include_pruned=True)
        return lambda number: cls(derive_seed(seed, "tpe", number), common)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return _varied(self._common.calculate(study))


@final
class _Nsga2(samplers.NSGAIISampler):
    """NSGA-II, with what all trials have in common known, and the parents of a generation always in the same order.

    Optuna's gives them by rank when it selects them, and by number from then on: a process that goes on would differ.
    """

    def __init__(self, seed: int, common: IntersectionSearchSpace) -> None:
        super().__init__(seed=seed)
        self._common = common

    @classmethod
    def at(cls, seed: int) -> AtNumber:
        common = IntersectionSearchSpace()
        return lambda number: cls(derive_seed(seed, "nsga2", number), common)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return _varied(self._common.calculate(study))

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)


def _varied(space: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    return {name: distribution for name, distribution in space.items() if not distribution.single()}


@final
class _PointOfSequence(samplers.QMCSampler):
    """The point `number` of a scrambled Sobol sequence.

    Optuna's sampler counts the points it has made in the study, and would begin again with each process.
    """

    def __init__(self, seed: int, number: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(
                scramble=True,
                seed=seed,
                independent_sampler=samplers.RandomSampler(seed=derive_seed(seed, number)),
                warn_independent_sampling=False,
            )
        self._number = number

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, Any]) -> int:
        return self._number
