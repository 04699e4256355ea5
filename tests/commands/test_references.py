"""The reference networks by name, and what they are."""

import pytest

from kerastuna.search.commands.references import check_reference, network_of, reference_names, reference_network
from kerastuna.search.errors import InputError
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.cost import cost
from kerastuna.spaces.references import REFERENCES


def test_names() -> None:
    assert reference_names() == ["eip_1", "eip_2", "eip_3", "eip_4", "eip_5"]
    check_reference("eip_5")
    with pytest.raises(InputError, match="'eip_6' is no reference network: choose one of eip_1, eip_2"):
        check_reference("eip_6")


def test_networks() -> None:
    network = reference_network("eip_3")
    assert cost(network).params == 14652
    assert network == network_of(ConvNet(), REFERENCES["eip_3"].values)
    assert cost(network_of(ConvNet((32, 32, 3), 10), REFERENCES["eip_3"].values)).params > 14652
    with pytest.raises(InputError):
        reference_network("nope")
