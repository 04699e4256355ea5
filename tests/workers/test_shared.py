"""What workers are given: large arrays are written once, and mapped."""

import os
from typing import Any

import numpy as np
import pytest

from kerastuna.search.errors import InputError
from kerastuna.search.workers.shared import SHARED_BYTES, SharedArrays, loads


@pytest.fixture
def shared():
    arrays = SharedArrays()
    yield arrays
    arrays.close()


def test_what_was_given_comes_out(shared: SharedArrays):
    rows = np.arange(SHARED_BYTES, dtype=np.float32).reshape(-1, 4)
    given = {"large": rows, "part": rows[5:], "small": np.arange(3), "plain": ("text", 7), "function": lambda x: x + 1}
    taken = loads(shared.dumps(given), shared.fileno())
    for name in ("large", "part", "small"):
        np.testing.assert_array_equal(taken[name], given[name])
    assert taken["plain"] == ("text", 7)
    assert taken["function"](1) == 2


def test_a_large_array_is_written_once_however_often_it_is_given(shared: SharedArrays):
    rows = np.zeros(SHARED_BYTES, np.uint8)
    first = shared.dumps({"x": rows})
    size = os.fstat(shared.fileno()).st_size
    second = shared.dumps(("again", rows))
    assert os.fstat(shared.fileno()).st_size == size == rows.nbytes
    assert max(len(first), len(second)) < 1000


def test_a_small_array_stays_out_of_the_file(shared: SharedArrays):
    shared.dumps(np.zeros(SHARED_BYTES - 1, np.uint8))
    assert os.fstat(shared.fileno()).st_size == 0


def test_a_change_in_one_process_stays_there(shared: SharedArrays):
    data = shared.dumps(np.zeros(SHARED_BYTES, np.uint8))
    changed = loads(data, shared.fileno())
    changed[:] = 9
    assert loads(data, shared.fileno()).max() == 0


def test_what_cannot_be_pickled_is_refused_in_one_line(shared: SharedArrays):
    def generator() -> Any:
        yield 1

    with pytest.raises(InputError, match=r"what the workers need cannot be pickled .*generator.*: correct it, or"):
        shared.dumps({"x": generator()})
