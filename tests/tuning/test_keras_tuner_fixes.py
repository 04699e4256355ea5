"""KerasTuner's faults that an oracle cannot stand on, mended."""

import math
import threading
import warnings
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial, TrialStatus

from kerastuna.search.tuning.keras_tuner_fixes import DefaultingHyperParameters, MendedOracle, exclusive


class Oracle(keras_tuner.oracles.RandomSearchOracle):
    @exclusive
    def work(self, fail: bool) -> str:
        """What it does."""
        if fail:
            raise KeyError("broken")
        return "done"


def test_the_lock_is_free_after_an_error() -> None:
    oracle = Oracle(objective=keras_tuner.Objective("score", "max"))
    with pytest.raises(KeyError, match="broken"):
        oracle.work(True)
    said: list[Any] = []
    other = threading.Thread(target=lambda: said.append(oracle.work(False)), daemon=True)
    other.start()
    other.join(timeout=10)
    assert said == ["done"]
    assert Oracle.work.__doc__ == "What it does."


class Mended(MendedOracle, keras_tuner.oracles.RandomSearchOracle):
    pass


@pytest.mark.parametrize(("kind", "warns"), [(keras_tuner.oracles.RandomSearchOracle, True), (Mended, False)])
def test_a_metric_that_is_nan_brings_no_warning(kind: Any, warns: bool, tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 1, 9)
    oracle = kind(objective=keras_tuner.Objective("score", "max"), max_trials=1, hyperparameters=hp)
    oracle._set_project_dir(tmp_path, "project")
    trial = Trial(hp, "0", TrialStatus.RUNNING)
    oracle.trials["0"] = trial
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        oracle.update_trial("0", {"score": math.nan})
    assert any("All-NaN" in str(warning.message) for warning in caught) == warns
    assert math.isnan(trial.metrics.get_last_value("score"))


def test_missing_values_are_defaults_and_not_random() -> None:
    hp = DefaultingHyperParameters()
    hp.Choice("kind", ["a", "b"], default="b")
    hp.Int("width", 1, 1000, default=7)
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("depth", 1, 1000)
    hp.values = {"depth": 5}
    hp.ensure_active_values()
    assert hp.values == {"kind": "b", "width": 7}


def test_a_value_whose_name_another_condition_shares_is_kept() -> None:
    hp = DefaultingHyperParameters()
    hp.Choice("kind", ["a", "b"])
    for kind, high in (("a", 3), ("b", 9)):
        with hp.conditional_scope("kind", [kind]):
            hp.Int("depth", 1, high)
    hp.values = {"kind": "b", "depth": 8}
    hp.ensure_active_values()
    assert hp.values == {"kind": "b", "depth": 8}
