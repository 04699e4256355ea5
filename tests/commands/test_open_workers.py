"""The device and the workers of a command."""

import io
from contextlib import ExitStack
from pathlib import Path

import pytest

from kerastuna.search.commands.open_workers import open_workers
from kerastuna.search.commands.options import SearchOptions
from kerastuna.search.display.progress import PlainProgress


@pytest.mark.parametrize(("workers", "trials", "started"), [(1, 9, None), (3, 1, None), (3, 2, 2), (2, 9, 2)])
def test_there_are_as_many_workers_as_trials_at_most_and_none_beside_one(
    workers: int, trials: int, started: int | None, tmp_path: Path
) -> None:
    options = SearchOptions(device="cpu", workers=workers, trials=trials, folder=tmp_path)
    with ExitStack() as stack:
        device, pool = open_workers(options, PlainProgress(file=io.StringIO()), stack)
        assert device.kind == "cpu"
        assert (None if pool is None else len(pool)) == started
