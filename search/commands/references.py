"""The networks that are known by name, and the network of a `SearchSpace` at some values."""

from typing import Any

from ...spaces.architecture import Architecture
from ..errors import InputError


def published_names() -> list[str]:
    """The names of the published networks, without importing Keras."""
    from ...spaces.references import REFERENCES

    return list(REFERENCES)


def known_names() -> list[str]:
    """The names of the published networks and of Kerastuna's champions, without importing Keras."""
    from ...spaces.champions import NETWORKS

    return list(NETWORKS)


def check_reference(name: str) -> None:
    """Raises InputError, without importing Keras, when no network is known as `name`."""
    if name not in known_names():
        raise InputError(f"{name!r} is no known network: choose one of {', '.join(known_names())}")


def reference_network(name: str) -> Architecture:
    """A network that is known by name, for MNIST's images; raises InputError for an unknown name."""
    check_reference(name)
    from ...spaces.champions import NETWORKS
    from ...spaces.space_of_network import space_of

    return network_of(space_of(NETWORKS[name]), NETWORKS[name].values)


def network_of(space: Any, values: Any) -> Architecture:
    """The network of a `SearchSpace` at `values`."""
    from ..tuning.hyperparameters import declared_hyperparameters

    return space.architecture(declared_hyperparameters(space, values))
