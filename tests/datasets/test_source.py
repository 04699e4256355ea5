"""Where arrays are read from: what is there, what is read, and how messages name it."""

from typing import Any

import numpy as np
import pytest

from kerastuna.search.datasets.source import Readers, Source
from kerastuna.search.errors import DataError


def trap() -> np.ndarray:
    raise AssertionError("read without need")


def test_only_what_is_asked_for_is_read():
    readers: Readers = {"x_train": lambda: np.ones(3), "y_train": lambda: np.zeros(3), "x_test": trap, "y_test": trap}
    source = Source("set", readers)
    assert source.has_test
    x, y = source.part("train")
    assert (x.tolist(), y.tolist()) == ([1, 1, 1], [0, 0, 0])
    with pytest.raises(AssertionError, match="without need"):
        source.part("test")


def test_half_a_part_is_refused_unread():
    source = Source("https://me:secret@host/set", {"x_train": trap, "y_train": trap, "y_test": trap})
    assert source.has_test
    source.require("train")
    with pytest.raises(
        DataError, match=r"host/set' lacks x_test \(it has \['x_train', 'y_train', 'y_test'\]\)"
    ) as caught:
        source.part("test")
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="lacks x_train and y_train"):
        Source("set", {}).require("train")
    assert not Source("set", {"x_train": trap, "y_train": trap}).has_test


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (
            ["x_val", "y_val"],
            ["has x_val and y_val beside", "add these samples to the training part", "leave them out"],
        ),
        (["x_valid"], ["has x_valid beside", "leave it out"]),
        (["X_validation", "y_dev"], ["has X_validation and y_dev beside", "a tenth of the training part"]),
        (["sample_weight"], ["has sample_weight beside", "every sample counts the same", "leave it out"]),
        (
            ["x_val", "y_val", "sample_weights"],
            ["has x_val, y_val and sample_weights beside", "a tenth", "leave them out"],
        ),
    ],
)
def test_parts_that_a_search_does_not_use_are_refused_unread(names: list[str], named: list[str]):
    parts = dict.fromkeys(["x_train", "y_train", *names], trap)
    with pytest.raises(DataError) as caught:
        Source("https://me:secret@host/set", parts).require("train")
    message = str(caught.value)
    assert all(words in message for words in ["x_train, y_train", *named]), message
    assert "\n" not in message
    assert "secret" not in message


def test_other_arrays_are_allowed():
    names: list[Any] = ["x_train", "y_train", "classes", "value", "z_val", 7]  # a function may return any mapping
    Source("set", dict.fromkeys(names, trap)).require("train")


def test_places():
    source = Source("set", {}, places={"y_train": "column 'price' of 'a.csv'"})
    assert (source.place("x_train"), source.place("y_train")) == ("x_train of 'set'", "column 'price' of 'a.csv'")
