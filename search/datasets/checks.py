"""What samples must be for a network to be trained on them, and what it is given; DataError in one line for others."""

from typing import Any

import numpy as np

from ..errors import DataError

PREPROCESSING = {
    "images": "float32 (height, width, channels); whole pixel values, 0 to 255, are divided by 255; floats stay",
    "rows": "float32, as they are given",
}
"""What `network_input` does, in words, by what samples are called."""
_LARGEST = np.finfo(np.float32).max


def check_samples(x: np.ndarray, where: str) -> None:
    """Refuses samples that no network can take; `where` names them in the message.

    Allowed are images, (n, height, width) and (n, height, width, channels), as integers from 0 to 255 or floating point
    numbers, and rows, (n, features) or five axes and more, as any numbers. No axis is 0. Floating point numbers are
    finite and within float32.
    """
    if x.dtype.kind not in "uif":
        raise DataError(f"{where} has dtype {x.dtype}: samples must be integers or floating point; convert them")
    if x.ndim < 2 or 0 in x.shape:
        raise DataError(
            f"{where} has shape {x.shape}: samples must be (n, features), (n, height, width), (n, height, width, "
            "channels) or of more axes, none of them 0; reshape or add samples"
        )
    if x.dtype.kind == "f":
        check_finite(x, where)
    elif are_images(x) and x.dtype != np.uint8:
        low, high = x.min(), x.max()
        if low < 0 or high > 255:
            raise DataError(
                f"{where} has integers from {low} to {high}: allowed are 0 to 255; rescale them, or convert to floats"
            )


def check_finite(values: np.ndarray, where: str) -> None:
    """Refuses floating point numbers that float32 cannot hold as a finite number."""
    if values.size and not (abs(values.min()) <= _LARGEST and abs(values.max()) <= _LARGEST):  # also catches NaN
        with np.errstate(invalid="ignore"):
            count = int((~(np.abs(values) <= _LARGEST)).sum())
        raise DataError(
            f"{where} has values that are NaN, infinite or beyond float32, {count:,} of {values.size:,}: replace them "
            "by finite numbers"
        )


def are_images(x: np.ndarray) -> bool:
    """Whether samples of this rank are images, which get an axis of channels."""
    return x.ndim in (3, 4)


def network_input(x: np.ndarray) -> np.ndarray:
    """Checked samples as float32: images (n, height, width, channels), integers divided by 255; rows as they are."""
    images = are_images(x)
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if images and x.dtype.kind != "f":
        return np.divide(x, np.float32(255), dtype=np.float32)
    kept: Any = x.astype(np.float32, copy=False)
    return kept
