"""Shared by the tests of workers: their processes, and waiting for what they do."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def nothing(index: int, name: str, values: tuple[Any, ...]) -> None:
    """Hears what tasks tell, and does nothing."""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
