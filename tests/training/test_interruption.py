"""A signal is noted, wherever its exception ends up."""

import os
import signal
from collections.abc import Iterator

import keras
import pytest

from kerastuna.search.study.reasons import ERROR, INTERRUPTED
from kerastuna.search.training.epochs import EpochReporter, failure_reason
from kerastuna.search.training.interruption import forget, stop, stop_if_told, was_told_to_stop


@pytest.fixture
def told() -> Iterator[None]:
    """This process was told to stop, and something swallowed the exception."""
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGUSR1)
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
        forget()


@pytest.mark.usefixtures("told")
def test_it_is_remembered_until_it_is_forgotten():
    assert was_told_to_stop()
    with pytest.raises(KeyboardInterrupt):
        stop_if_told()
    forget()
    assert not was_told_to_stop()
    stop_if_told()


@pytest.mark.usefixtures("told")
def test_an_error_that_a_library_made_of_it_is_an_interruption():
    assert failure_reason(SystemError("returned a result with an exception set")) == INTERRUPTED
    forget()
    assert failure_reason(SystemError("returned a result with an exception set")) == ERROR


@pytest.mark.usefixtures("told")
def test_a_training_ends_after_the_epoch_in_which_it_was_swallowed():
    reporter = EpochReporter(lambda epoch, metrics, epochs: False, ())
    reporter.set_model(keras.Sequential())
    with pytest.raises(KeyboardInterrupt):
        reporter.on_epoch_end(0, {"loss": 1.0})
