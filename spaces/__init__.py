"""What is searched: pure descriptions of networks, their exact cost, and the search spaces."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .architecture import (
    Activation,
    Add,
    Architecture,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    MaxPooling2D,
)
from .augmentation import Augmentation
from .cost import Cost, LayerCost, cost, count_params
from .errors import InfeasibleArchitecture, InputError, KerastunaError
from .recipe import Recipe
from .references import REFERENCES, Reference

if TYPE_CHECKING:
    from .compact import Compact
    from .convnet import ConvNet
    from .space import SearchSpace, build_model

__all__ = [
    "REFERENCES",
    "Activation",
    "Add",
    "Architecture",
    "Augmentation",
    "AveragePooling2D",
    "BatchNormalization",
    "Compact",
    "Conv2D",
    "ConvNet",
    "Cost",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "InfeasibleArchitecture",
    "InputError",
    "KerastunaError",
    "Layer",
    "LayerCost",
    "MaxPooling2D",
    "Recipe",
    "Reference",
    "SearchSpace",
    "build_model",
    "cost",
    "count_params",
]

# These modules import Keras, which takes seconds, so they are imported when a name is first used.
_LAZY = {"Compact": "compact", "ConvNet": "convnet", "SearchSpace": "space", "build_model": "space"}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # so that a notebook also completes names that are not imported yet


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
