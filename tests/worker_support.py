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


class Deaths:
    """Takes note of deaths, and of whether the pool was the cause; the first ones are blamed on their tasks."""

    def __init__(self, blame_first: int = 0) -> None:
        self.told: list[tuple[Any, bool]] = []
        self.blame_first = blame_first

    def __call__(self, worker: Any, /, *, was_ended: bool = False) -> bool:
        self.told.append((worker, was_ended))
        return len(self.told) <= self.blame_first
