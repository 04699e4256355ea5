"""A signal is noted, wherever its exception ends up."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType
from typing import Any

import keras
import pytest

import kerastuna.search.training.interruption as interruption
from kerastuna.search.study.reasons import ERROR, INTERRUPTED
from kerastuna.search.training.epochs import EpochReporter, failure_reason
from kerastuna.search.training.interruption import (
    AGAIN_SECONDS,
    TOGETHER_SECONDS,
    ended_at_once,
    forget,
    interruptible,
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
            interruptible(tell)
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
    tell = lambda text: os.write(1, text + b"\\n")  # whole, since two threads write
    with interruption.second_signal_forces([signal.SIGINT], 130, lambda: tell(b"told")), interruption.ended_at_once(
        lambda: tell(b"ended")
    ):
        def call():
            has_begun = False
            while True:
                try:
                    if not has_begun:
                        has_begun = True
                        tell(b"begun")
                    {work}
                except KeyboardInterrupt:
                    tell(b"heard")
        interruption.interruptible(call)
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
        time.sleep(2 * TOGETHER_SECONDS)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        told = process.stdout.read().splitlines()
        assert [line for line in told if line != "heard"] == ["ended", "told"]  # another thread tells what is heard


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
            stop(signal.SIGUSR1, None)
            Swallows(KeyboardInterrupt)
            Swallows(ValueError)
            forget()
        assert lost == ["KeyboardInterrupt", "ValueError"]


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


def within_tensorflow(work: Callable[[], Any]) -> None:
    """Call `work` from a function of TensorFlow's, in which no exception may be raised."""

    def call(work: Callable[[], Any]) -> None:
        try:
            work()
        except KeyboardInterrupt as error:
            raise AssertionError("raised within TensorFlow") from error

    FunctionType(call.__code__, {**globals(), "__name__": "tensorflow.python.util.nest_util"})(work)


@pytest.fixture
def signals() -> Iterator[None]:
    before = [(number, signal.signal(number, stop)) for number in (signal.SIGUSR1, signal.SIGALRM)]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        forget()
        for number, handler in before:
            signal.signal(number, handler)


def wait() -> None:
    time.sleep(5 * AGAIN_SECONDS)


def tell() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


@pytest.mark.usefixtures("signals")
def test_a_signal_within_tensorflow_is_raised_after_it():
    left: list[bool] = []

    def work() -> None:
        try:
            tell()
            wait()
        finally:
            left.append(True)

    def call() -> None:
        within_tensorflow(work)
        wait()

    with pytest.raises(KeyboardInterrupt):
        interruptible(call)
    assert left == [True]  # what is raised within is an AssertionError
    assert was_told_to_stop()
    wait()  # once


@pytest.mark.usefixtures("signals")
def test_a_signal_that_comes_while_python_tells_of_an_exception_is_raised_after_it_and_not_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    class Swallows:
        def __del__(self) -> None:
            raise ValueError("swallowed")

    lost: list[str] = []

    def tell_of(unraisable: Any) -> None:
        lost.append(str(unraisable.exc_value))
        tell()
        wait()

    def swallow() -> None:
        Swallows()
        wait()

    monkeypatch.setattr(sys, "unraisablehook", tell_of)
    with second_signal_forces([signal.SIGUSR1], 1, lambda: None), pytest.raises(KeyboardInterrupt):
        interruptible(swallow)
    assert was_told_to_stop()
    assert lost == ["swallowed"]
    assert "Exception ignored" not in capsys.readouterr().err


@pytest.mark.usefixtures("signals")
def test_a_signal_that_somebody_asked_about_is_not_raised_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interruption, "AGAIN_SECONDS", 0.5)  # nothing is asked so late

    def wait() -> None:
        time.sleep(0.7)

    def call() -> None:
        within_tensorflow(tell)
        assert was_told_to_stop()
        wait()
        within_tensorflow(tell)
        with pytest.raises(KeyboardInterrupt):
            stop_if_told()
        wait()
        within_tensorflow(tell)
        forget()
        wait()

    interruptible(call)


@pytest.mark.usefixtures("signals")
def test_a_program_gets_its_alarm_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interruption, "AGAIN_SECONDS", 60)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for _ in range(2):
        interruptible(partial(within_tensorflow, lambda: (tell(), tell())))
        assert signal.getsignal(signal.SIGALRM) is stop
        forget()
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN


@pytest.mark.usefixtures("signals")
def test_a_signal_does_not_wait_for_ever_for_tensorflow(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interruption, "PATIENCE_SECONDS", 2 * AGAIN_SECONDS)
    began = time.monotonic()
    with pytest.raises(AssertionError, match="raised within TensorFlow"):
        interruptible(partial(within_tensorflow, lambda: (tell(), time.sleep(60))))
    assert time.monotonic() - began >= 2 * AGAIN_SECONDS


@pytest.mark.usefixtures("signals")
def test_a_signal_is_only_noted_before_and_after_what_it_may_interrupt():
    tell()
    assert was_told_to_stop()
    called: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: called.append(True))
    assert not called
    forget()
    assert interruptible(lambda: 5) == 5
    tell()
    wait()
    assert was_told_to_stop()


@pytest.mark.usefixtures("signals")
def test_the_second_of_two_signals_at_once_does_not_interrupt_what_is_put_in_order(monkeypatch: pytest.MonkeyPatch):
    done: list[str] = []
    monkeypatch.setattr(interruption, "TOGETHER_SECONDS", 1000)

    def call() -> None:
        try:
            tell()
        finally:
            tell()
            done.append("put in order")

    with pytest.raises(KeyboardInterrupt):
        interruptible(call)
    assert done == ["put in order"]
    monkeypatch.setattr(interruption, "TOGETHER_SECONDS", 0)
    done.clear()
    forget()
    with pytest.raises(KeyboardInterrupt):
        interruptible(call)
    assert not done
