"""The reference networks by name, and what they cost."""

import pytest

from kerastuna.search.commands.references import check_reference, reference_cost, reference_names, space_cost
from kerastuna.search.errors import InputError
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.references import REFERENCES


def test_names() -> None:
    assert reference_names() == ["eip_1", "eip_2", "eip_3", "eip_4", "eip_5"]
    check_reference("eip_5")
    with pytest.raises(InputError, match="'eip_6' is no reference network: choose one of eip_1, eip_2"):
        check_reference("eip_6")


def test_cost() -> None:
    summary, cost = reference_cost("eip_3")
    assert cost.params == 14652
    assert (summary, cost) == space_cost(ConvNet(), REFERENCES["eip_3"].values)
    assert space_cost(ConvNet((32, 32, 3), 10), REFERENCES["eip_3"].values)[1].params > cost.params
    with pytest.raises(InputError, match="'nope' is no reference network"):
        reference_cost("nope")
