"""Optuna's samplers by name, and a sampler for each proposal."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, cast, final

import optuna
from optuna import samplers
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from ..compat.optuna import SobolPoint, fixed_parameters, grid_values, wrapped_sampler
from ..compat.optuna_tpe import KeepingTpe
from ..errors import InputError
from ..study.seeds import derive_seed
from .distributions import Parameter
from .grid import Grid
from .names import SAMPLER_NAMES, SamplerName

AtNumber = Callable[[int], BaseSampler]
"""From the number of a proposal to the sampler that makes it."""

_PACKAGES: Mapping[str, tuple[str, ...]] = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",), "qmc": ("scipy",)}
"""Packages that Optuna imports only when it makes the sampler, or at its tenth proposal."""
_PACKAGES_OF_KIND: Mapping[type[BaseSampler], tuple[str, ...]] = {
    samplers.GPSampler: _PACKAGES["gp"],
    samplers.CmaEsSampler: _PACKAGES["cmaes"],
    samplers.QMCSampler: _PACKAGES["qmc"],
}


def sampler_for(sampler: str | BaseSampler, seed: int) -> AtNumber:
    """From the number of a proposal to the sampler that makes it, for one study.

    A sampler that is chosen by name is made anew for each proposal, seeded by the study's `seed` and the proposal's
    number: a study that is resumed goes on and never repeats itself. An Optuna sampler is used as it is, with the state
    it has. In place of a GridSampler or BruteForceSampler, which end Optuna's own loop, a `Grid` gives the same points.

    Raises InputError for an unknown name, and for a sampler whose package is not installed.
    """
    if isinstance(sampler, BaseSampler):
        return _for_instance(sampler, seed)
    if sampler not in SAMPLER_NAMES:
        raise InputError(
            f"sampler {sampler!r} is unknown: choose one of {', '.join(SAMPLER_NAMES)}, or give an Optuna sampler"
        )
    _require(_PACKAGES.get(sampler, ()), sampler)
    return _named(cast(SamplerName, sampler), seed)


def uses_cmaes(sampler: str | BaseSampler) -> bool:
    """Whether `sampler` is CMA-ES, which takes no notice of constraints."""
    return sampler == "cmaes" or isinstance(sampler, samplers.CmaEsSampler)


def _named(name: SamplerName, seed: int) -> AtNumber:
    match name:
        case "tpe":
            tpe = KeepingTpe()
            return lambda number: tpe.seeded(derive_seed(seed, "tpe", number))
        case "random":
            return lambda number: samplers.RandomSampler(seed=derive_seed(seed, "random", number))
        case "gp":
            return lambda number: samplers.GPSampler(
                seed=derive_seed(seed, "gp", number), warn_independent_sampling=False
            )
        case "cmaes":
            return lambda number: samplers.CmaEsSampler(
                seed=derive_seed(seed, "cmaes", number), warn_independent_sampling=False
            )
        case "nsga2":
            return _Nsga2.at(seed)
        case "qmc":
            qmc_seed = derive_seed(seed, "qmc")
            return lambda number: SobolPoint(qmc_seed, number, derive_seed(qmc_seed, number))
        case "grid":
            return Grid(derive_seed(seed, "grid"))


def _for_instance(sampler: BaseSampler, seed: int) -> AtNumber:
    kind = type(sampler)
    if isinstance(sampler, samplers.GridSampler) and kind is samplers.GridSampler:
        return Grid(derive_seed(seed, "grid"), grid_values(sampler), kind.__name__)
    if kind is samplers.BruteForceSampler:
        return Grid(derive_seed(seed, "grid"), name=kind.__name__)
    innermost = sampler
    while isinstance(innermost, samplers.PartialFixedSampler):
        innermost = wrapped_sampler(innermost)
    if isinstance(innermost, samplers.GridSampler | samplers.BruteForceSampler):
        raise InputError(
            f"sampler {kind.__name__} would end a loop of Optuna's, which is not running here: give Optuna's "
            'GridSampler or BruteForceSampler as it is, or "grid"'
        )
    for known, packages in _PACKAGES_OF_KIND.items():
        if isinstance(innermost, known):
            _require(packages, kind.__name__)
    return lambda number: sampler


def _require(packages: Sequence[str], sampler: str) -> None:
    if missing := [package for package in packages if find_spec(package) is None]:
        raise InputError(
            f"sampler {sampler!r} needs {' and '.join(missing)}, which is not installed: "
            "pip install 'PATH/TO/kerastuna[samplers]', or choose another sampler"
        )


def fixed_by(sampler: BaseSampler) -> dict[str, Any]:
    """The parameters that `sampler` never changes, by Optuna's names and in Optuna's terms."""
    if not isinstance(sampler, samplers.PartialFixedSampler):
        return {}
    return {**fixed_by(wrapped_sampler(sampler)), **fixed_parameters(sampler)}


def random_sampler(seed: int, fixed: Mapping[str, Any]) -> BaseSampler:
    """A random sampler that does not change the parameters in `fixed`."""
    sampler = samplers.RandomSampler(seed=seed)
    if not fixed:
        return sampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return samplers.PartialFixedSampler(dict(fixed), sampler)


def suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    """The value that the sampler of `trial` chooses for `parameter`, in Optuna's terms."""
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
class _Nsga2(samplers.NSGAIISampler):
    """NSGA-II that is told which parameters all trials share, and keeps the parents of a generation in one order.

    Optuna's own orders them by rank when it selects them, and by number afterwards. A process that goes on with a study
    would make other proposals.
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
