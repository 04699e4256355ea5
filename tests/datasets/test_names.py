"""Every name of a task can be given."""

from pathlib import Path

import numpy as np
import pytest
from datasets_support import write_npz

from kerastuna.search.datasets.data import load_dataset
from kerastuna.search.datasets.names import TASKS
from kerastuna.search.datasets.task import Classification, Regression, Task
from kerastuna.search.errors import DataError

MEANT: dict[str, Task] = {"auto": Classification(3), "classification": Classification(3), "regression": Regression()}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_says_how_targets_are_understood(tmp_path: Path, task: str) -> None:
    rows = {"x_train": np.ones((30, 2), np.float32), "y_train": np.arange(30) % 3}
    assert load_dataset(write_npz(tmp_path / "rows.npz", rows), task=task).task == MEANT[task]


def test_there_is_no_other_task(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'ranking' is unknown: it must be one of auto, classification, regression"):
        load_dataset(str(tmp_path / "rows.npz"), task="ranking")
