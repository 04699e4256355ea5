"""The space of a network that is known by name."""

from kerastuna.spaces.champions import NETWORKS
from kerastuna.spaces.compact import Compact
from kerastuna.spaces.convnet import ConvNet
from kerastuna.spaces.space_of_network import space_of


def test_a_published_network_is_of_convnet():
    assert type(space_of(NETWORKS["eip_5"])) is ConvNet


def test_a_champion_fills_the_budget_of_its_search():
    space = space_of(NETWORKS["compact-4000"])
    assert isinstance(space, Compact)
    assert space.parameters == 4000
