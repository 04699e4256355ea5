"""A signal is noted, wherever its exception ends up."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras
import pytest

from kerastuna.search.study.reasons import ERROR, INTERRUPTED
from kerastuna.search.training.epochs import EpochReporter, failure_reason
from kerastuna.search.training.interruption import (
    TOGETHER_SECONDS,
    ended_at_once,
    forget,
    second_signal_forces,
    stop,
    stop_if_told,
    was_told_to_stop,
)


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


PROGRAM = """
    import os, signal, sys, time
    from kerastuna.search.training import interruption
    signal.signal(signal.SIGINT, interruption.stop)
    signal.signal(signal.SIGUSR2, lambda number, frame: None)
    tell = lambda: print("told", flush=True)
    with interruption.second_signal_forces([signal.SIGINT], 130, tell), interruption.ended_at_once(
        lambda: print("ended", flush=True)
    ):
        print("begun", flush=True)
        while True:
            try:
                {work}
            except KeyboardInterrupt:
                print("heard", flush=True)
"""


@pytest.mark.parametrize(
    "work",
    [
        "time.sleep(60)",
        # A call that lets no handler run, as those of TensorFlow and JAX; other threads do run.
        "__import__('ctypes').CDLL(None).sleep(60)",
    ],
)
def test_the_second_signal_ends_the_process_at_once_whatever_it_does(work: str):
    program = textwrap.dedent(PROGRAM).format(work=work)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        for number in (signal.SIGUSR2, signal.SIGUSR2, signal.SIGINT, signal.SIGINT):  # the last two are one
            process.send_signal(number)
            time.sleep(0.05)
        time.sleep(TOGETHER_SECONDS)
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert time.monotonic() - began < 1
        assert process.stdout.read().splitlines()[-2:] == ["ended", "told"]


def test_what_python_swallows_of_a_signal_is_not_printed():
    class Swallows:
        def __init__(self, error: type[BaseException]) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error("swallowed")

    lost: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda unraisable: lost.append(unraisable.exc_type.__name__))
        with second_signal_forces([signal.SIGUSR1], 1, lambda: None):
            Swallows(KeyboardInterrupt)  # not by a signal
            with pytest.raises(KeyboardInterrupt):
                stop(signal.SIGUSR1, None)
            Swallows(KeyboardInterrupt)
            Swallows(ValueError)
            forget()
        assert lost == ["KeyboardInterrupt", "ValueError"]


def test_a_signal_that_comes_while_python_tells_of_an_exception_is_noted_and_not_printed(
    capsys: pytest.CaptureFixture[str],
):
    class Swallows:
        def __del__(self) -> None:
            raise ValueError("swallowed")

    lost: list[str] = []

    def tell(unraisable: Any) -> None:
        lost.append(str(unraisable.exc_value))
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "unraisablehook", tell)
            with second_signal_forces([signal.SIGUSR1], 1, lambda: None):
                Swallows()
        assert was_told_to_stop()
    finally:
        signal.signal(signal.SIGUSR1, before)
        forget()
    assert lost == ["swallowed"]
    assert "Exception ignored" not in capsys.readouterr().err


def test_what_a_database_says_of_a_signal_is_not_printed(told: None):
    assert logging.lastResort is not None
    record = logging.LogRecord(
        "sqlalchemy.pool.impl.QueuePool", logging.ERROR, "", 0, "Error closing cursor", None, None
    )
    assert logging.lastResort.filter(record)
    with second_signal_forces([signal.SIGUSR1], 1, lambda: None):
        assert not logging.lastResort.filter(record)
        forget()
        assert logging.lastResort.filter(record)


def test_outside_of_the_block_a_signal_is_as_before():
    before = signal.set_wakeup_fd(-1)
    threads = threading.active_count()
    with second_signal_forces([signal.SIGUSR1], 1, lambda: None), ended_at_once(lambda: None):
        assert signal.set_wakeup_fd(-1) != before
    assert signal.set_wakeup_fd(-1) == before
    assert threading.active_count() == threads


@pytest.mark.usefixtures("told")
def test_a_training_ends_at_the_next_batch():
    reporter = EpochReporter(lambda epoch, metrics, epochs: False, ())
    with pytest.raises(KeyboardInterrupt):
        reporter.on_train_batch_begin(0)
