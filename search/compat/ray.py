"""Private names of Ray."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_ray() -> Iterator[None]:
    """What Ray's own processes report is not printed.

    Otherwise a thread prints many lines on standard output for each worker that dies, whatever `ray.init` was told.
    """
    from ray._private import worker  # an extra

    before = worker._worker_logs_enabled
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before
