"""The networks that are known by name, and what they are."""

import pytest

from kerastuna.search.commands.references import (
    check_reference,
    known_names,
    network_of,
    published_names,
    reference_network,
)
from kerastuna.search.errors import InputError
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.cost import cost
from kerastuna.spaces.references import REFERENCES


def test_names() -> None:
    assert published_names() == ["eip_1", "eip_2", "eip_3", "eip_4", "eip_5"]
    assert known_names() == [*published_names(), "compact-15000", "compact-4000", "compact-2500"]
    check_reference("eip_5")
    check_reference("compact-2500")
    with pytest.raises(InputError, match="'eip_6' is no known network: choose one of eip_1, eip_2"):
        check_reference("eip_6")


def test_networks() -> None:
    network = reference_network("eip_3")
    assert cost(network).params == 14652
    assert network == network_of(ConvNet(), REFERENCES["eip_3"].values)
    assert cost(network_of(ConvNet((32, 32, 3), 10), REFERENCES["eip_3"].values)).params > 14652
    assert reference_network("compact-2500").summary == "8 | p5-s18-s18-s18-s18 | pool+dense"
    with pytest.raises(InputError):
        reference_network("nope")
