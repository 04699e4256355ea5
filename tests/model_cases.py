"""Shared by the tests of models and data: small data, and a search whose every figure is checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from kerastuna.search import OptunaTuner

HP = keras_tuner.HyperParameters
LOSS = keras_tuner.Objective("val_loss", "min")

_random = np.random.default_rng(0)
X = _random.random((48, 4), "float32")
X2 = _random.random((48, 3), "float32")
KIND = _random.integers(0, 2, 48)
SIZE = _random.random((48, 1), "float32")
SEQUENCES = _random.random((48, 5, 3), "float32")
IMAGES = _random.random((48, 6, 6, 1), "float32")
TOKENS = _random.integers(0, 10, (48, 5))


def units(hp: HP) -> int:
    """The only hyperparameter of the models."""
    return int(hp.Choice("units", [2, 4, 8]))  # type: ignore[arg-type]


def compiled(model: keras.Model, optimizer: Any = "sgd") -> keras.Model:
    model.compile(optimizer, "mse")
    return model


def perceptron(hp: HP, optimizer: Any = "sgd", before: Any = ()) -> keras.Model:
    """6 * units + 1 parameters."""
    given = [layer() for layer in before]
    model = keras.Sequential([keras.Input((4,)), *given, keras.layers.Dense(units(hp)), keras.layers.Dense(1)])
    return compiled(model, optimizer() if callable(optimizer) else optimizer)


def first(data: Any) -> Any:
    """The first samples, as validation data."""
    return keras.tree.map_structure(lambda array: array[:16], data)


def tuner_of(build: Any, folder: Path, *, objective: Any = LOSS, max_trials: int = 1, **given: Any) -> OptunaTuner:
    return OptunaTuner(
        build, objective, max_trials, seed=0, pruner="none", directory=folder, project_name="case", **given
    )


def check_search(
    folder: Path,
    build: Any,
    fit: Callable[[], dict[str, Any]],
    params: tuple[int, int] | None,
    *,
    objective: keras_tuner.Objective = LOSS,
    evaluate: dict[str, Any] | None = None,
) -> Any:
    """Search, check all that a user relies on, and return the trial in the study.

    Eight units are proposed first, and then four, with a budget that just allows four. The budget must hold with the
    exact counts; the score must be that of the model with the weights that were kept; and the same search again must
    train nothing.

    Args:
        fit: gives the arguments of `search`; called for each search, as a generator can be used once.
        params: parameters with four units and with eight; None for a search without a budget.
        evaluate: further arguments of `evaluate`.
    """
    budget = params and params[0]
    tuner = tuner_of(build, folder, objective=objective, budget=budget)
    for proposal in (8, 4) if budget else (4,):
        tuner.enqueue({"units": proposal})
    arguments = {"epochs": 2, "verbose": 0} | fit()
    tuner.search(**arguments)
    study = tuner.oracle.study
    assert [(trial.state.name, trial.user_attrs.get("params")) for trial in study.trials] == (
        [("PRUNED", params[1]), ("COMPLETE", params[0])] if params else [("COMPLETE", None)]
    )
    trial = study.trials[-1]
    scores = [epoch[objective.name] for epoch in trial.user_attrs["history"]]
    assert len(scores) == arguments["epochs"]
    assert trial.value == scores[-1]
    (model,) = tuner.get_best_models()
    if budget:
        assert model.count_params() == budget
    validation = arguments["validation_data"]
    names = ("x", "y", "sample_weight")
    given = dict(zip(names, validation, strict=False)) if isinstance(validation, tuple) else {"x": validation}
    found = model.evaluate(**given, return_dict=True, verbose=0, **evaluate or {})
    assert found[objective.name.removeprefix("val_")] == pytest.approx(trial.value, rel=1e-4)
    again = tuner_of(build, folder, objective=objective, budget=budget)
    again.search(**{"epochs": 2, "verbose": 0} | fit())
    assert len(study.trials) == (2 if budget else 1)
    return trial
