"""What a record tells of figures in int8. tests/champion/test_confirm_study.py measures them in a confirmation."""

import keras
import numpy as np
import pytest

from kerastuna.search.champion.int8 import figures_of, in_int8, int8_record, validation_figure
from kerastuna.search.datasets.answers import ClassAnswers
from kerastuna.search.datasets.data import Dataset
from kerastuna.search.datasets.task import Classification
from kerastuna.search.training import interruption

X, Y = np.ones((20, 4), np.float32), np.arange(20, dtype=np.int32) % 2
DATA = Dataset("rows", X, Y, X, Y, Classification(2), "fingerprint", 0)


def figure(value: float, in_float: float) -> dict[str, object]:
    return {"metric": "accuracy", "value": value, "float": in_float}


def test_the_record_of_several_figures() -> None:
    assert int8_record([figure(0.8, 0.9), figure(0.9, 0.7)]) == {
        "metric": "accuracy",
        "values": [0.8, 0.9],
        "mean": pytest.approx(0.85),
        "float_mean": pytest.approx(0.8),
        "change": pytest.approx(0.05),
    }
    assert int8_record([figure(0.8, 0.9), {"missing": "no converter"}]) == {"missing": "no converter"}
    assert int8_record([None, None]) is int8_record([]) is None
    told = "2 of 3 trainings were not measured in int8"  # those of an older version
    assert int8_record([None, None], asked=True) == {"missing": "2 of 2 trainings were not measured in int8"}
    assert int8_record([None, figure(0.8, 0.9), None]) == {"missing": told}


def network(outputs: int) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(outputs, "sigmoid")])


def test_answers_that_cannot_be_read_are_a_reason() -> None:
    assert "answers are of shape (n, 1)" in str(
        validation_figure(network(1), Dataset("rows", X, Y, X, Y, Classification(3), "", 0), "accuracy")["missing"]
    )


def test_an_interruption_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal sends it to the converter too, which ends."""

    def interrupted(module: str, jobs: object) -> dict[str, dict[str, str]]:
        interruption._told.set()
        return {"0": {"problem": "its process ended with SIGINT"}}

    monkeypatch.setattr("kerastuna.search.export.int8_models.run_jobs", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            validation_figure(network(2), DATA, "accuracy")
    finally:
        interruption.forget()
    with in_int8([], DATA) as quantised:
        assert figures_of(quantised, X, Y, DATA, ClassAnswers(2, False), "accuracy") == []
