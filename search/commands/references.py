"""The reference networks by name, and what a network of a `SearchSpace` costs."""

from typing import Any

from ...spaces.cost import Cost, cost
from ..errors import InputError


def reference_names() -> list[str]:
    """The names of the reference networks, without importing Keras."""
    from ...spaces.references import REFERENCES

    return list(REFERENCES)


def check_reference(name: str) -> None:
    """Raises InputError, without importing Keras, when no reference network is called `name`."""
    if name not in reference_names():
        raise InputError(f"{name!r} is no reference network: choose one of {', '.join(reference_names())}")


def reference_cost(name: str) -> tuple[str, Cost]:
    """The summary and the cost of a reference network for MNIST's images; raises InputError for an unknown name."""
    check_reference(name)
    from ...spaces.convnet import ConvNet
    from ...spaces.references import REFERENCES

    return space_cost(ConvNet(), REFERENCES[name].values)


def space_cost(space: Any, values: Any) -> tuple[str, Cost]:
    """The summary and the cost of the network of a `SearchSpace` at `values`."""
    from ..tuning.hyperparameters import declared_hyperparameters

    architecture = space.architecture(declared_hyperparameters(space, values))
    return architecture.summary, cost(architecture)
