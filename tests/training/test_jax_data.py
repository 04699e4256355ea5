"""Arrays go to the device once, as bytes where these give exactly the same numbers."""

import gc

import numpy as np
import pytest

from kerastuna.search.training.jax_data import DeviceData, as_bytes

BYTES = np.arange(256, dtype=np.uint8).reshape(4, 64)
IMAGES = np.divide(BYTES, np.float32(255), dtype=np.float32)


def test_every_multiple_of_a_255th_is_stored_as_its_byte_and_comes_back_exactly():
    placed = DeviceData().put(IMAGES)
    assert placed.stored.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(placed[np.arange(4)]), IMAGES)


def test_a_compiled_program_gets_the_same_numbers():
    import jax

    program = jax.jit(lambda data, chosen: data[chosen])  # a division in it would round otherwise
    np.testing.assert_array_equal(np.asarray(program(DeviceData().put(IMAGES), np.array([2, 1]))), IMAGES[[2, 1]])


@pytest.mark.parametrize(
    "array",
    [
        np.nextafter(IMAGES, np.float32(2)),
        IMAGES - 1,
        IMAGES * 2,
        IMAGES.astype(np.float64),
        np.full((2, 2), np.nan, np.float32),
        np.full((2, 2), np.inf, np.float32),
        np.zeros((0, 2), np.float32),
    ],
)
def test_other_numbers_are_no_bytes(array: np.ndarray):
    assert as_bytes(array) is None


@pytest.mark.parametrize(
    ("array", "dtype"), [(IMAGES - 1, "float32"), (BYTES, "uint8"), (np.arange(5, dtype=np.int32), "int32")]
)
def test_other_arrays_are_stored_as_they_are(array: np.ndarray, dtype: str):
    placed = DeviceData().put(array)
    assert placed.stored.dtype == dtype
    np.testing.assert_array_equal(np.asarray(placed[np.arange(len(array))]), array)


def test_an_array_is_put_there_once_and_forgotten_with_it():
    data, first, second = DeviceData(), IMAGES.copy(), IMAGES.copy()
    assert data.put(first) is data.put(first)
    assert data.put(first) is not data.put(second)
    assert len(data) == 2
    del first
    gc.collect()
    assert len(data) == 1
