"""What worker processes are given: pickled, but its large arrays in one file that all of them map into memory."""

import mmap
import pickle
import tempfile
from collections.abc import Callable
from typing import Any, final

import cloudpickle

from ..errors import InputError
from ..messages import cause

SHARED_BYTES = 1 << 16
"""Arrays of at least this many bytes are mapped into memory instead of copied."""


@final
class SharedArrays:
    """Pickles what workers are given.

    A large array is written to the file once, however many workers get it, and however often: do not change it while
    this object is in use. The file has no name, so it is gone with the last process that has it open.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  `close` does
        self._spans: dict[tuple[int, int], tuple[int, int]] = {}  # address and bytes of an array -> place in the file
        self._kept: list[Any] = []  # what was written: nothing else may get its address
        self._end = 0

    def fileno(self) -> int:
        """The descriptor of the file, for a worker to inherit."""
        return self._file.fileno()

    def close(self) -> None:
        """Give the file back; the workers keep theirs."""
        self._file.close()

    def dumps(self, value: Any) -> bytes:
        """`value` for `loads` in a worker; raises InputError when it cannot be pickled.

        Functions and classes of the main module, of a notebook for example, are pickled by their code.
        """
        spans: list[tuple[int, int]] = []

        def is_small(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < SHARED_BYTES:
                return True
            spans.append(self._span(raw))
            return False

        return pickle.dumps((spans, pickled(value, is_small)))

    def _span(self, raw: memoryview) -> tuple[int, int]:
        import numpy as np

        key = (np.frombuffer(raw, np.uint8).ctypes.data, raw.nbytes)
        if key not in self._spans:
            start = -(-self._end // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
            self._file.seek(start)
            self._file.write(raw)
            self._file.flush()
            self._spans[key] = (start, raw.nbytes)
            self._kept.append(raw)
            self._end = start + raw.nbytes
        return self._spans[key]


def pickled(value: Any, in_band: Callable[[pickle.PickleBuffer], bool]) -> bytes:
    """`value` without the arrays for which `in_band` is False; raises InputError when it cannot be pickled."""
    try:
        return cloudpickle.dumps(value, protocol=5, buffer_callback=in_band)
    except OSError:
        raise
    except Exception as error:  # whatever the objects of a user raise
        raise InputError(
            f"what the workers need cannot be pickled ({cause(error)}): correct it, or search with one worker"
        ) from error


def loads(data: bytes, descriptor: int) -> Any:
    """What `SharedArrays.dumps` was given; large arrays are mapped from the file, and changes to them stay private."""
    spans, rest = pickle.loads(data)
    buffers = [mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY, offset=start) for start, size in spans]
    return pickle.loads(rest, buffers=buffers)
