"""Shared by the tests of kills: processes, and a study with three enqueued points in a space too large to be listed."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
from optuna.pruners import NopPruner
from optuna.storages import BaseStorage

from kerastuna.search.proposals.distributions import ParameterSpace
from kerastuna.search.study.attributes import NAME
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.studies import open_study

NAMES = ("a", "b", "c")
"""Of the enqueued points."""


def _space() -> ParameterSpace:
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 1000)
    hp.Float("rate", 0.0, 1.0)
    return ParameterSpace(hp.space)


SPACE = _space()


def opened(storage: BaseStorage) -> optuna.Study:
    """The study in this storage, made where it is not there yet."""
    return open_study(storage, "s", directions=["maximize"], identity={}, pruner=NopPruner(), seed=0)


def make(location: str | Path) -> None:
    """Make the study, with the enqueued points."""
    study = opened(open_storage(location))
    for width, name in enumerate(NAMES, 1):
        study.enqueue_trial({"width": width, "rate": 0.5}, user_attrs={NAME: name})


class Copy:
    """A copy of this process, as a process of its own, that does some `work`. It has imported everything already.

    Args:
        work: its exit status is 0 when this returns, and 1 when it raises.
        output: where it prints to; None for where this process does.
    """

    def __init__(self, work: Callable[[], Any], output: Path | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads: the copy uses nothing of theirs
            self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                if output is not None:
                    descriptor = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
                    sys.stdout = sys.stderr = os.fdopen(descriptor, "w", buffering=1)
                    warnings.simplefilter("always")
                    warnings.showwarning = lambda message, *_: print(message)  # pytest would keep it
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status, once it has ended: negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
