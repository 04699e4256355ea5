"""The device and the workers of a command."""

import io
from contextlib import ExitStack
from pathlib import Path

import pytest

from kerastuna.search.commands.open_workers import open_workers
from kerastuna.search.commands.options import SearchOptions
from kerastuna.search.display.progress import PlainProgress


@pytest.mark.parametrize(
    ("workers", "trials", "trainings", "started"),
    [(1, 9, None, None), (3, 1, None, None), (3, 2, None, 2), (2, 9, None, 2), (3, 1, 2, 2), (2, 9, 1, None)],
)
def test_there_are_as_many_workers_as_trainings_at_most_and_none_beside_one(
    workers: int, trials: int, trainings: int | None, started: int | None, tmp_path: Path
) -> None:
    options = SearchOptions(device="cpu", workers=workers, trials=trials, folder=tmp_path)
    with ExitStack() as stack:
        device, pool = open_workers(options, PlainProgress(file=io.StringIO()), stack, trainings)
        assert device.kind == "cpu"
        assert (None if pool is None else len(pool)) == started
