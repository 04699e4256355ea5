"""The private names of KerasTuner that are used still mean what they did."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest
from keras_tuner.src import config
from support import ROOT

from kerastuna.search import OptunaOracle, OptunaTuner
from kerastuna.search.compat import keras_tuner as compat

SCORE = keras_tuner.Objective("score", "max")


def protected_uses(modules: Sequence[str]) -> set[str]:
    """The protected members that modules of tuning/ use through `self` or `super()`."""
    source = "\n".join((ROOT / "search" / "tuning" / f"{module}.py").read_text() for module in modules)
    found = set(re.findall(r"(?:self|super\(\))\.(_[a-z]\w*)", source)) | set(re.findall(r"def (_[a-z]\w*)", source))
    return found | set(re.findall(r'getattr\(self, "(_[a-z]\w*)"', source))


@pytest.mark.parametrize(
    ("modules", "base", "own", "table"),
    [
        (("tuner", "training_tuner"), keras_tuner.Tuner, OptunaTuner, compat.TUNER_MEMBERS),
        (("oracle", "study_oracle"), keras_tuner.Oracle, OptunaOracle, compat.ORACLE_MEMBERS),
    ],
)
def test_the_tables_list_the_protected_members_that_are_used(
    modules: Sequence[str], base: Any, own: Any, table: Any
) -> None:
    oracle = keras_tuner.oracles.RandomSearchOracle(objective=SCORE)
    oracle._set_project_dir("folder", "project")
    there = set(dir(base)) | (set(vars(oracle)) if "oracle" in modules else set())
    assert set(table) <= there
    assert set(table) == protected_uses(modules) & there


def test_metrics_of_what_a_training_may_return() -> None:
    assert compat.metrics_of(0.5, SCORE) == {"score": 0.5}
    assert compat.metrics_of({"score": 0.5, "loss": 2.0}, SCORE) == {"score": 0.5, "loss": 2.0}
    assert compat.mean_metrics([{"score": 0.5}, {"score": 0.7}]) == {"score": pytest.approx(0.6)}


def test_a_function_is_a_hypermodel() -> None:
    made = compat.hypermodel_of(lambda hp: hp)
    assert isinstance(made, keras_tuner.HyperModel)
    assert made.build("hp") == "hp"
    assert compat.hypermodel_of(made) is made


def test_whether_a_subclass_trains_in_its_own_way(tmp_path: Path) -> None:
    class Own(keras_tuner.Tuner):
        def _build_and_fit_model(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return 0.5

    oracle = keras_tuner.oracles.RandomSearchOracle(objective=SCORE)
    tuners = [kind(oracle, lambda hp: keras.Sequential(), directory=tmp_path) for kind in (keras_tuner.Tuner, Own)]
    assert [compat.trains_as(tuner, keras_tuner.Tuner) for tuner in tuners] == [True, False]


def test_results_that_keras_tuner_does_not_understand_are_refused() -> None:
    compat.check_results(0.5, SCORE)
    with pytest.raises(TypeError, match=r"Tuner\.run_trial\(\)"):
        compat.check_results("good", SCORE)


def test_the_callback_calls_the_tuner(tmp_path: Path) -> None:
    heard: list[Any] = []

    class Tuner(keras_tuner.Tuner):
        def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            heard.append((trial, epoch))

    oracle = keras_tuner.oracles.RandomSearchOracle(objective=SCORE)
    tuner = Tuner(oracle, lambda hp: keras.Sequential(), directory=tmp_path)
    compat.tuner_callback(tuner, "trial").on_epoch_end(3, {})
    assert heard == [("trial", 3)]


def test_no_strategy_has_an_empty_scope() -> None:
    with compat.distribution(None):
        pass


def test_tracebacks_are_hidden_for_a_while() -> None:
    shown = config.DEBUG
    with compat.tracebacks_hidden(True):
        assert not config.DEBUG
    with compat.tracebacks_hidden(False):
        assert shown == config.DEBUG
    assert shown == config.DEBUG


def test_the_client_of_a_chief_knows_its_oracle() -> None:
    from keras_tuner.src.distribute.oracle_client import OracleClient

    client = OracleClient.__new__(OracleClient)
    client.__dict__["_oracle"] = "oracle"
    assert compat.oracle_of_client(client) == "oracle"
    assert "self._oracle = oracle" in Path(str(OracleClient.__init__.__code__.co_filename)).read_text()
