"""Every name can be chosen, and makes something."""

from importlib.util import find_spec

import pytest
from optuna.pruners import BasePruner

from kerastuna.search.errors import InputError
from kerastuna.search.proposals.names import PRUNER_NAMES, SAMPLER_NAMES
from kerastuna.search.proposals.pruners import named_pruner
from kerastuna.search.proposals.samplers import sampler_for


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_every_name_of_a_sampler_makes_one_or_asks_for_its_package(name: str) -> None:
    needed = {"gp": "torch", "cmaes": "cmaes", "qmc": "scipy"}.get(name)
    if needed is None or find_spec(needed):
        assert callable(sampler_for(name, 0))
    else:
        with pytest.raises(InputError, match=needed):
            sampler_for(name, 0)


@pytest.mark.parametrize("name", PRUNER_NAMES)
def test_every_name_of_a_pruner_makes_one(name: str) -> None:
    assert isinstance(named_pruner(name, 10), BasePruner)
