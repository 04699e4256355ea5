"""What the arguments of a search tell of its trainings."""

import numpy as np
import pytest

from kerastuna.search.tuning.fit_arguments import by_name, epochs_of, validates_every_epoch


@pytest.mark.parametrize(
    ("args", "kwargs", "epochs"),
    [
        ((), {"epochs": 5}, 5),
        (("x", "y", 32, 2), {}, 2),
        (("x", "y", 32), {"epochs": np.int64(3)}, 3),
        (("x", "y"), {}, None),
        ((), {"epochs": "many"}, None),
        (("x", "y", "z", [1, 2]), {}, None),
    ],
)
def test_the_epochs_are_given_by_name_or_by_position(args: tuple, kwargs: dict, epochs: int | None) -> None:
    assert epochs_of(args, kwargs) == epochs


def test_every_argument_has_its_name() -> None:
    assert by_name(("x", "y", 32), {"validation_split": 0.5}) == {
        **{"x": "x", "y": "y", "batch_size": 32},
        "validation_split": 0.5,
    }


def test_whether_every_epoch_is_validated() -> None:
    assert validates_every_epoch({})
    assert validates_every_epoch({"validation_freq": 1})
    assert not validates_every_epoch({"validation_freq": 2})
    assert not validates_every_epoch({"validation_freq": [1, 5]})
