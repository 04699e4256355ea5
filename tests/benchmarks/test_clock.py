"""The clock of a search."""

import copy
import pickle
import time
from pathlib import Path

import pytest
from side_by_side.clock import EpochClock, TimeUp, check_time, epochs_in


def test_copies_write_the_epochs_of_their_trainings_to_one_file(tmp_path: Path) -> None:
    began, path = time.time(), tmp_path / "epochs"
    clock = EpochClock(str(path))
    for one in (copy.deepcopy(clock), pickle.loads(pickle.dumps(clock))):
        one.on_train_begin()
        for epoch in range(2):
            one.on_epoch_begin(epoch)
            one.on_epoch_end(epoch)
    found = epochs_in(path, began)
    assert len({epoch.training for epoch in found}) == 2
    assert [epoch.training for epoch in found[:2]] == [found[0].training] * 2
    times = [time for epoch in found for time in (epoch.fit_began, epoch.began, epoch.ended)]
    assert 0 <= min(times) <= max(times) < time.time() - began
    assert all(epoch.fit_began <= epoch.began <= epoch.ended for epoch in found)


def test_what_an_engine_compiled_before_belongs_to_the_training(tmp_path: Path) -> None:
    clock = EpochClock(str(tmp_path / "epochs"))
    clock.set_params({"trace_seconds": 1.0, "compile_seconds": 2.0})
    clock.on_train_begin()
    clock.on_epoch_begin(0)
    clock.on_epoch_end(0)
    [epoch] = epochs_in(tmp_path / "epochs", 0.0)
    assert 3 <= epoch.began - epoch.fit_began < 3.5


def test_no_file_is_no_epoch(tmp_path: Path) -> None:
    assert epochs_in(tmp_path / "gone", 0.0) == []


def test_the_epoch_after_which_the_time_is_up_is_written_down(tmp_path: Path) -> None:
    clock = EpochClock(str(tmp_path / "epochs"), time.time() + 0.05)
    clock.on_train_begin()
    clock.on_epoch_begin(0)
    time.sleep(0.06)
    with pytest.raises(TimeUp):
        clock.on_epoch_end(0)
    with pytest.raises(TimeUp):
        clock.on_epoch_begin(1)
    assert len(epochs_in(tmp_path / "epochs", 0.0)) == 1


def test_without_a_deadline_time_is_never_up() -> None:
    check_time(None)
    check_time(time.time() + 60)
    assert not issubclass(TimeUp, Exception)  # KerasTuner takes an Exception for a failed trial
