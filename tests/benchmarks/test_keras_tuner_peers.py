"""How a trial of KerasTuner ended; KerasTuner keeps a failure as a text."""

from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from side_by_side.keras_tuner_peers import outcome

from kerastuna.spaces import ConvNet
from kerastuna.spaces.references import REFERENCES


class Trained(keras_tuner.RandomSearch):
    """Builds, and trains nothing."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        if trial.hyperparameters.values.get("blocks") == 1:
            raise ValueError("something else")
        self._try_build(trial.hyperparameters)
        return 0.5


@pytest.mark.parametrize(
    ("values", "most", "told"),
    [
        ({}, 10**6, "complete"),
        ({}, 1000, "over_budget"),
        (
            {"blocks": 3, "block3_convs": 3, "block3_conv1": 8, "block3_conv2": 8, "block3_conv3": 8},
            10**6,
            "infeasible",
        ),
        ({"blocks": 1}, 10**6, "failed"),
    ],
)
def test_how_a_trial_ended(values: dict[str, Any], most: int, told: str, tmp_path: Path) -> None:
    tuner = Trained(
        ConvNet(), keras_tuner.Objective("score", "max"), 1, max_model_size=most, directory=tmp_path, seed=1
    )
    tuner.oracle.populate_space = lambda trial_id: {  # type: ignore[method-assign]
        "status": "RUNNING",
        "values": {**REFERENCES["eip_3"].values, **values},
    }
    tuner.search(verbose=0)
    [trial] = tuner.oracle.trials.values()
    assert outcome(trial) == told
