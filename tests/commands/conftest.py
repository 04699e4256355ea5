"""The command called in this process, and a study for the commands that only read."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from kerastuna.search.commands.cli import main
from kerastuna.search.study.storage import open_storage
from kerastuna.spaces.references import REFERENCES


class Outcome(NamedTuple):
    """How the command ended, and what it printed."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def kerastuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """`kerastuna(*arguments)` runs the command in this process, in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "argv", ["kerastuna"])
    handler, verbosity = signal.getsignal(signal.SIGTERM), optuna.logging.get_verbosity()
    environment = dict(os.environ)

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        try:
            status = main(arguments)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else -1
        return Outcome(status, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)
    optuna.logging.set_verbosity(verbosity)
    os.environ.clear()
    os.environ.update(environment)  # a command that does not train hides the GPU


@pytest.fixture
def storage(tmp_path: Path) -> BaseStorage:
    """The storage that a command in `tmp_path` opens, with the study `one`: trained, refused and failed trials."""
    (tmp_path / "mlruns").mkdir()
    storage = open_storage(tmp_path / "mlruns" / "optuna.journal")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name="one", direction="maximize")
    study.set_user_attr(
        "identity",
        {
            "objective": ["val_accuracy", "max"],
            "budget": 15000,
            "space": "kerastuna.spaces.convnet:ConvNet",
            "data": {"input_shape": [28, 28, 1], "classes": 10},
        },
    )
    eip_3 = {"hyperparameters": dict(REFERENCES["eip_3"].values), "params": 14652, "macs": 3578496, "summary": "eip 3"}
    refused = {"reason": "over_budget", "limits": ["params"], "params": 15810, "summary": "eip 1"}
    failed = {"reason": "error", "message": "ValueError: no", "params": 90, "summary": "bad"}
    for made in (
        {"state": TrialState.PRUNED, "user_attrs": refused},
        {"state": TrialState.COMPLETE, "value": 0.9, "user_attrs": eip_3},
        {"state": TrialState.COMPLETE, "value": 0.95, "user_attrs": eip_3 | {"params": 13380}},
        {"state": TrialState.FAIL, "user_attrs": failed},
        {"state": TrialState.WAITING, "params": {"n": 1}, "distributions": {"n": IntDistribution(0, 9)}},
    ):
        study.add_trial(optuna.create_trial(**made))
    return storage
