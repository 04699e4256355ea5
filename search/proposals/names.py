"""The names of the samplers and pruners that can be chosen. Importing this module is cheap."""

from typing import Literal, get_args

SamplerName = Literal["tpe", "random", "gp", "cmaes", "nsga2", "qmc", "grid"]
PrunerName = Literal["halving", "hyperband", "median", "none"]
SAMPLER_NAMES: tuple[SamplerName, ...] = get_args(SamplerName)
PRUNER_NAMES: tuple[PrunerName, ...] = get_args(PrunerName)
