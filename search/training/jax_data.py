"""Data that stay on the device for as long as their arrays exist."""

import weakref
from dataclasses import dataclass
from typing import Any, final

import jax  # an extra
import jax.numpy as jnp
import keras
import numpy as np

_FIRST = np.float32(round(2**23 / 255) / 2**23)  # has 16 bits: its product with 8 bits is exact
_PARTS = (_FIRST, np.float32(1 / 255 - float(_FIRST)))


@final
@dataclass(frozen=True)
class OnDevice:
    """An array on the device, also inside a program.

    Attributes:
        stored: with the shape of the array.
        parts: of 1/255, where the values are stored as uint8, else None. XLA replaces a division by a product and
            rounds otherwise. The products with these two parts, the first of which is exact, give the same numbers as
            a division.
    """

    stored: Any
    parts: tuple[np.float32, np.float32] | None = None

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, chosen: Any) -> Any:
        """The values at these indices, an array of JAX."""
        return self.stored[chosen] if self.parts is None else _scaled(self.stored[chosen], self.parts)


jax.tree_util.register_dataclass(OnDevice, data_fields=["stored", "parts"], meta_fields=[])


@final
class DeviceData:
    """Puts each array on the device once, and forgets it together with the array."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[np.ndarray], OnDevice]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, array: np.ndarray) -> OnDevice:
        """`array` on the device; the same object again for the same array, which must not be changed meanwhile.

        Multiples of 1/255 in float32 are stored as uint8, if the device gives back exactly the same numbers.
        """
        key = id(array)
        if (known := self._kept.get(key)) is not None and known[0]() is array:
            return known[1]
        placed = _place(array)
        self._kept[key] = weakref.ref(array, lambda _: self._kept.pop(key, None)), placed
        return placed


def as_bytes(array: np.ndarray) -> np.ndarray | None:
    """The uint8 that give `array`, float32, exactly when they are divided by 255; None where there are none."""
    if array.dtype != np.float32 or array.size == 0:
        return None
    with np.errstate(invalid="ignore"):  # of NaN and of what is far outside
        found = np.rint(array * np.float32(255)).astype(np.uint8)
    return found if np.array_equal(np.divide(found, np.float32(255), dtype=np.float32), array) else None


def _place(array: np.ndarray) -> OnDevice:
    found = as_bytes(array)
    if found is not None and _scales_exactly():
        return OnDevice(jax.device_put(found), _PARTS)
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx(), copy=False)
    return OnDevice(jax.device_put(array))


def _scaled(stored: Any, parts: Any) -> Any:
    numbers = stored.astype(jnp.float32)
    return numbers * parts[0] + numbers * parts[1]


def _scales_exactly() -> bool:
    """Whether the device gives the numbers that NumPy gives."""
    every = np.arange(256, dtype=np.uint8)
    scaled = np.asarray(jax.jit(_scaled)(every, _PARTS))
    return np.array_equal(scaled, np.divide(every, np.float32(255), dtype=np.float32))
