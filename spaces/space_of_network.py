"""The space of a network that is known by name."""

from .compact import Compact
from .convnet import ConvNet
from .references import Reference


def space_of(network: Reference) -> ConvNet | Compact:
    """The space that `network` is a point of, for MNIST's images: 28 x 28 pixels, 10 classes."""
    return ConvNet() if network.space == "convnet" else Compact(parameters=network.budget)
