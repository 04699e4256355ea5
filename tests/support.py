"""Shared by the tests: slices of real MNIST, and the command as a user types it."""

import gc
import importlib
import io
import logging
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
KERASTUNA = Path(sys.executable).with_name("kerastuna")


def write_slice(path: Path, train: int = 600, test: int = 200) -> Path:
    """The first images of MNIST as a data set of its own."""
    with np.load(ROOT / "data" / "mnist.npz") as mnist:
        np.savez(
            path,
            x_train=mnist["x_train"][:train],
            y_train=mnist["y_train"][:train],
            x_test=mnist["x_test"][:test],
            y_test=mnist["y_test"][:test],
        )
    return path


def script_environment(**variables: str) -> dict[str, str]:
    """The environment for a test module that is run as a script: it finds what the tests share."""
    return {**os.environ, "PYTHONPATH": str(TESTS), **variables}


def run_kerastuna(folder: Path, *arguments: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """The installed command in `folder`, in a process of its own; fails the test unless it ends with status `check`.

    Importing Keras takes such a process ten seconds: `call_kerastuna` does for all that does not need one.
    """
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    result = subprocess.run(
        [str(KERASTUNA), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    return _checked(result, check)


def begin_kerastuna(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """The installed command in `folder`, in a process and a group of its own, whose output is to be read."""
    return subprocess.Popen(
        [str(KERASTUNA), *arguments],
        cwd=folder,
        env=script_environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),  # also where the tests run under nohup
    )


def call_kerastuna(folder: Path, *arguments: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """The command in `folder`, in this process; fails the test unless it ends with status `check`.

    It finds the process as a new one is, where that matters, and leaves it as it was. Networks are trained without a
    graph, since tracing one takes longer than a few batches. A warning that a user would see is an error.
    """
    from kerastuna.search.commands.cli import main

    out, err = io.StringIO(), io.StringIO()
    with _like_a_new_process(folder, str(KERASTUNA), *arguments), redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as ended:  # argparse
            status = ended.code if isinstance(ended.code, int) else 1
    return _checked(
        subprocess.CompletedProcess(["kerastuna", *arguments], status, out.getvalue(), err.getvalue()), check
    )


def call_program(path: Path) -> str:
    """Standard output of a Python program that is run in its folder, in this process as by `call_kerastuna`."""
    out = io.StringIO()
    with _like_a_new_process(path.parent, str(path)), redirect_stdout(out), redirect_stderr(io.StringIO()):
        sys.path.insert(0, str(path.parent))
        runpy.run_path(str(path), run_name="__main__")
    return out.getvalue()


@contextmanager
def without_graphs() -> Iterator[None]:
    """Keras trains and predicts eagerly: tracing a graph takes longer than the few batches of a test."""
    import keras

    always = property(lambda model: True, lambda model, given: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "run_eagerly", always)
        yield


def _checked(result: subprocess.CompletedProcess[str], check: int | None) -> subprocess.CompletedProcess[str]:
    if check is not None and result.returncode != check:
        pytest.fail(f"{' '.join(result.args)} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return result


@contextmanager
def _like_a_new_process(folder: Path, *arguments: str) -> Iterator[None]:
    """Set what a command reads of its process, and restore what it changes."""
    import keras
    import optuna

    gc.freeze()  # what has just been imported; undone at the end of the test module
    before = _ProcessState(folder)
    os.chdir(folder)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    sys.argv = [*arguments]
    importlib.invalidate_caches()  # the folder's modules may be newer than what Python knows of it
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        with without_graphs(), warnings.catch_warnings():
            warnings.resetwarnings()
            warnings.simplefilter("error")
            for unseen in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", unseen)  # as Python does by default
            yield
    finally:
        keras.utils.clear_session(free_memory=False)
        optuna.logging.set_verbosity(verbosity)
        before.restore()


class _ProcessState:
    """What a command in `folder` changes of its process, as it is now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cwd, self._argv, self._path, self._environment = Path.cwd(), sys.argv, list(sys.path), dict(os.environ)
        self._modules, self._sigterm = set(sys.modules), signal.getsignal(signal.SIGTERM)
        loggers = logging.root.manager.loggerDict.values()
        self._levels = {logger: logger.level for logger in loggers if isinstance(logger, logging.Logger)}

    def restore(self) -> None:
        for logger, level in self._levels.items():
            logger.setLevel(level)
        signal.signal(signal.SIGTERM, self._sigterm)
        for name in set(sys.modules) - self._modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and self._folder in Path(file).parents:
                del sys.modules[name]  # another folder has another module of this name
        sys.path[:], sys.argv = self._path, self._argv
        os.environ.clear()
        os.environ.update(self._environment)
        os.chdir(self._cwd)
