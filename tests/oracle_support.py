"""Shared by the tests of the oracle. As a script, this begins a trial in a project and dies."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

from kerastuna.search import OptunaOracle
from kerastuna.search.proposals.claims import Claim

SCORE = keras_tuner.Objective("score", "max")


def hyperparameters(declare: Callable[[keras_tuner.HyperParameters], Any]) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    declare(hp)
    return hp


def one_float(hp: keras_tuner.HyperParameters) -> None:
    hp.Float("x", 0.0, 1.0)


def declare_nested(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("kind", ["cnn", "mlp"])
    with hp.conditional_scope("kind", ["cnn"]):
        hp.Choice("pooling", ["max", "none"])
        with hp.conditional_scope("pooling", ["max"]):
            hp.Int("window", 2, 4)
    with hp.conditional_scope("kind", ["mlp"]):
        hp.Int("units", 8, 64, step=8)
    hp.Boolean("dropout", parent_name="kind", parent_values=["cnn", "mlp"])


def make(
    folder: Path,
    declare: Callable[[keras_tuner.HyperParameters], Any] | None = one_float,
    kind: type[OptunaOracle] = OptunaOracle,
    **given: Any,
) -> OptunaOracle:
    """An oracle in its project folder, as a tuner makes it. `declare=None` leaves the space to be found."""
    space: dict[str, Any] = {} if declare is None else {"hyperparameters": hyperparameters(declare)}
    arguments: dict[str, Any] = {"objective": SCORE, "seed": 0, "pruner": "none", **space, **given}
    oracle = kind(**arguments)
    oracle._set_project_dir(folder, "project")
    oracle.verbose = 0
    return oracle


def begin(oracle: OptunaOracle, tuner_id: str = "tuner0") -> Trial:
    trial = oracle.create_trial(tuner_id)
    assert trial.status == "RUNNING"
    return trial


def claim_of(oracle: OptunaOracle, trial: Trial) -> Claim:
    claim = oracle.claim_of(trial.trial_id)
    assert claim is not None
    return claim


def complete(oracle: OptunaOracle, trial: Trial, score: float, step: int = 0) -> None:
    oracle.update_trial(trial.trial_id, {oracle.objective.name: score}, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def fail(oracle: OptunaOracle, trial: Trial, status: str = "FAILED", message: str = "it broke") -> None:
    trial.status, trial.message = status, message
    oracle.end_trial(trial)


def run(oracle: OptunaOracle, trials: int, score: Callable[[Any], float] = lambda values: values["x"]) -> list[Any]:
    """Complete so many trials, or as many as there are; returns their values."""
    done = []
    while len(done) < trials and (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        complete(oracle, trial, score(trial.hyperparameters.values))
        done.append(trial.hyperparameters.values)
    return done


def recorded(oracle: OptunaOracle) -> list[tuple[str, str | None]]:
    return [(trial.state.name, trial.user_attrs.get("reason")) for trial in oracle.study.trials]


def script(folder: Path) -> dict[str, Any]:
    """Begin a trial in another process, which dies without a word; returns what it printed."""
    done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 9, done.stderr
    return json.loads(done.stdout)


def _die(folder: Path) -> None:
    trial = begin(make(folder, max_trials=2))
    print(json.dumps({"trial_id": trial.trial_id, "values": trial.hyperparameters.values}), flush=True)
    os._exit(9)


if __name__ == "__main__":
    _die(Path(sys.argv[1]))
