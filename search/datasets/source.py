"""Where the arrays of a data set are read from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from ..errors import DataError
from ..messages import shown

VALIDATION_NAMES = ("val", "valid", "validation", "dev")
"""How users name a part for validation, which a search does not use: it takes some of the training part."""
_VALIDATION_ARRAYS = {f"{array}_{part}" for array in "xy" for part in VALIDATION_NAMES}
_WEIGHTS = {"sample_weight", "sample_weights"}

Readers = Mapping[str, Callable[[], np.ndarray]]
"""One reader for each array, by its name, so that only what is needed is read."""


@final
@dataclass(frozen=True)
class Source:
    """A data set that was found. Its arrays are read when they are asked for.

    Attributes:
        spec: as the user named it.
        readers: of "x_train", "y_train" and, where there is a test part, "x_test" and "y_test".
        outlines: for arrays of the test part: readers of stand-ins, which have the form of the array and not its
            content. They return None where nothing may be looked at before the test set is opened. Without such a
            reader, the array itself is read.
        places: where an array lies, as messages name it; those that are absent are named after the spec.
        columns: of a table, the target last; empty for everything else.
        by_class: whether the form of the source says what the classes are, as folders of images do.
        by_function: whether a function of the user made it, which may make something else the next time.
    """

    spec: str
    readers: Readers
    outlines: Mapping[str, Callable[[], np.ndarray | None]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    by_class: bool = False
    by_function: bool = False

    def place(self, name: str) -> str:
        """How messages name an array."""
        return self.places.get(name, f"{name} of {shown(self.spec)}")

    @property
    def has_test(self) -> bool:
        """Whether there is a test part, or half of one."""
        return any(name in self.readers for name in ("x_test", "y_test"))

    def part(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Samples and targets of the part "train" or "test"; raises DataError if one is absent or cannot be read."""
        self.require(part)
        return self.readers[f"x_{part}"](), self.readers[f"y_{part}"]()

    def outline(self, name: str) -> np.ndarray | None:
        """What may be looked at of an array of the test part before it is opened; None for nothing."""
        return self.outlines.get(name, self.readers[name])()

    def require(self, part: str) -> None:
        """Raises DataError unless the part has both arrays, and there is no part that a search would not use."""
        missing = [name for name in (f"x_{part}", f"y_{part}") if name not in self.readers]
        if missing:
            raise DataError(
                f"{shown(self.spec)} lacks {' and '.join(missing)} (it has {list(self.readers)[:10]}): "
                "a data set holds x_train, y_train and, if it has a test part, x_test, y_test; rename or add them"
            )
        validation = [name for name in self.readers if str(name).lower() in _VALIDATION_ARRAYS]
        if unused := validation + [name for name in self.readers if str(name).lower() in _WEIGHTS]:
            *first, last = unused
            leave = "leave it out" if len(unused) == 1 else "leave them out"
            split = "a tenth of the training part is split off for validation"
            why, what = (split, f"add these samples to the training part, or {leave}")
            if not validation:
                why, what = "every sample counts the same", leave
            raise DataError(
                f"{shown(self.spec)} has {' and '.join(filter(None, [', '.join(first), last]))} beside x_train and "
                f"y_train: a search uses x_train, y_train and, of a test part, x_test, y_test; {why}; {what}"
            )


def stand_in(shape: Sequence[int], dtype: np.dtype | type) -> np.ndarray:
    """An array of zeros of this form that takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), tuple(shape))
