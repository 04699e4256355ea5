"""The champions: points of their space with the counts that are stated, the same as those whose files are kept."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kerastuna.search.tuning.hyperparameters import declared_hyperparameters
from kerastuna.spaces.champions import CHAMPIONS, NETWORKS
from kerastuna.spaces.cost import cost
from kerastuna.spaces.references import REFERENCES
from kerastuna.spaces.space_of_network import space_of

FOLDER = Path(__file__).parents[2] / "benchmarks" / "champions"


def values_kept(name: str) -> dict[str, Any]:
    """The hyperparameters in the model card of a champion that is kept."""
    block = re.search(r"```json\n(.*?)```", (FOLDER / name / "MODEL_CARD.md").read_text(), re.DOTALL)
    assert block is not None
    return json.loads(block[1])


def test_all_are_known_by_name():
    assert {**REFERENCES, **CHAMPIONS} == NETWORKS
    assert all(network.name == name for name, network in NETWORKS.items())


@pytest.mark.parametrize("name", CHAMPIONS)
def test_a_champion_is_the_network_whose_file_is_kept(name: str):
    champion = CHAMPIONS[name]
    assert champion.values == values_kept(name)
    stated = json.loads((FOLDER / "champions.json").read_text())[name]
    assert (champion.reported_params or (0,))[0] == stated["params"]
    assert champion.reported_test_accuracy == stated["test"]["mean"]
    assert f"mean of {stated['test']['n']} models" in champion.note


@pytest.mark.parametrize("name", NETWORKS)
def test_the_counts_are_those_of_its_point(name: str):
    network = NETWORKS[name]
    space = space_of(network)
    point = declared_hyperparameters(space, network.values)
    counted = cost(space.architecture(point))
    if network.reported_params is not None:
        assert (counted.params, counted.trainable, counted.non_trainable) == network.reported_params
    assert counted.params <= (network.budget or counted.params)
    # Its values are those of the hyperparameters that are active there, and no others.
    space.recipe(point)
    assert {hp.name for hp in point.space if point.is_active(hp)} == set(network.values)
