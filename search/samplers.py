"""Optuna's samplers and pruners by name, and the seeds they start from."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, final

import optuna
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from .errors import InputError

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
}
"""By name, from the seed of a study."""
_PACKAGES = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",), "qmc": ("scipy",)}
"""What Optuna imports only when a sampler is made, or when it makes its tenth proposal."""
PRUNERS = ("halving", "hyperband", "median", "none")
FIRST_RUNG = 2
"""Epochs before any trial may be stopped: the first one tells how fast a network starts, hardly where it ends."""


def derive_seed(*parts: object) -> int:
    """A seed below 2**32 from any parts, the same in every process and on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def sampler_for(sampler: str | samplers.BaseSampler, seed: int) -> AtNumber:
    """From a proposal's number to the sampler that makes it, for one study.

    A sampler that is named is made anew for each proposal, seeded by the study's `seed` and the proposal's number, so
    that a study that is resumed goes on and never repeats itself. An instance is used as it is, with whatever state it
    has. Raises InputError for an unknown name, and for a sampler whose package is not installed.
    """
    if isinstance(sampler, samplers.BaseSampler):
        return lambda number: sampler
    if sampler not in SAMPLERS:
        raise InputError(
            f"sampler {sampler!r} is unknown: choose one of {', '.join(SAMPLERS)}, or give an Optuna sampler"
        )
    if missing := [package for package in _PACKAGES.get(sampler, ()) if find_spec(package) is None]:
        raise InputError(
            f"sampler {sampler!r} needs {' and '.join(missing)}, which is not installed: "
            "pip install 'kerastuna[samplers]', or choose another sampler"
        )
    return SAMPLERS[sampler](seed)


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


def pruner_for(pruner: str | pruners.BasePruner, epochs: int | None) -> pruners.BasePruner:
    """The pruner by name; `epochs` is the length of a full trial, None where it is not known.

    "halving" is asynchronous successive halving (Li et al., 2020, arXiv:1810.05934): a trial goes on past a fifth of
    the epochs (but at least two), twice and four times as many, while it is in the better half of those that came as
    far.
    """
    if isinstance(pruner, pruners.BasePruner):
        return pruner
    first_rung = max(FIRST_RUNG, (epochs or 1) // 5)
    match pruner:
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=first_rung, reduction_factor=2)
        case "hyperband":
            return pruners.HyperbandPruner(min_resource=first_rung, max_resource=epochs or "auto")
        case "median":
            return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=first_rung)
        case "none":
            return pruners.NopPruner()
        case _:
            raise InputError(
                f"pruner {pruner!r} is unknown: choose one of {', '.join(PRUNERS)}, or give an Optuna pruner"
            )
