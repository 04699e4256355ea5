"""The reference networks by name, and the network of a `SearchSpace` at some values."""

from typing import Any

from ...spaces.architecture import Architecture
from ..errors import InputError


def reference_names() -> list[str]:
    """The names of the reference networks, without importing Keras."""
    from ...spaces.references import REFERENCES

    return list(REFERENCES)


def check_reference(name: str) -> None:
    """Raises InputError, without importing Keras, when no reference network is called `name`."""
    if name not in reference_names():
        raise InputError(f"{name!r} is no reference network: choose one of {', '.join(reference_names())}")


def reference_network(name: str) -> Architecture:
    """A reference network for MNIST's images; raises InputError for an unknown name."""
    check_reference(name)
    from ...spaces.convnet import ConvNet
    from ...spaces.references import REFERENCES

    return network_of(ConvNet(), REFERENCES[name].values)


def network_of(space: Any, values: Any) -> Architecture:
    """The network of a `SearchSpace` at `values`."""
    from ..tuning.hyperparameters import declared_hyperparameters

    return space.architecture(declared_hyperparameters(space, values))
