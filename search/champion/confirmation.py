"""Confirmation: the best trials again on fresh seeds, the winner by its mean, the test set opened once for it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import keras
import keras_tuner
import numpy as np
import optuna
from optuna.trial import FrozenTrial

from ..datasets.data import Dataset
from ..errors import SearchFailed
from ..study.attributes import HYPERPARAMETERS
from ..study.budget import COSTS
from ..study.goal import Goal, Rank, goal_of, score_of
from ..study.records import finite_metrics
from ..study.seeds import derive_seed
from ..training.epochs import EpochMetrics
from ..training.train import train
from .evaluation import spread

CONFIRMATIONS = "confirmations"
"""User attribute of a study: trial number -> seed -> {"value", "history"}, so that nothing is trained twice."""


CHAMPION = "champion"
"""User attribute of a study: the record of its confirmed winner."""


class ConfirmationObserver(Protocol):
    """Told of every training of a confirmation."""

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        """A training begins, to "confirm" a candidate or for the "final" model."""
        ...

    def epoch_ended(self, trial: int, epoch: int, metrics: EpochMetrics) -> None:
        """An epoch, from 1, ended."""
        ...

    def training_ended(self, trial: int, value: float | None) -> None:
        """A training ended with the objective at its last epoch; None where there were no validation images."""
        ...


@final
@dataclass(frozen=True)
class Candidate:
    """A trial that was trained again on fresh seeds.

    Attributes:
        trial: its number; `params`, `costs` (by name) and `summary` of its network.
        search_value: its objective in the search.
        values: the objective at the last epoch, seed by seed; `histories`: the metrics of every epoch.
    """

    trial: int
    params: int | None
    costs: Mapping[str, Any]
    summary: str
    search_value: float
    values: tuple[float, ...]
    histories: tuple[tuple[EpochMetrics, ...], ...]

    def rank(self, goal: Goal) -> Rank:
        """Where it stands among others by its mean; the smaller the better."""
        return goal.rank(self.mean, self.costs)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """Of the sample; 0 for a single seed."""
        return spread(self.values)


def fresh_seeds(study_seed: int, count: int) -> list[int]:
    """The seeds of a confirmation: the same for every candidate, none of them a seed of the search."""
    return [derive_seed(study_seed, "confirmation", index) for index in range(count)]


def chosen(study: optuna.Study, top: int) -> list[FrozenTrial]:
    """The trials that are confirmed, `top` of them or as many as there are, the best first."""
    return goal_of(study).results(study.get_trials(deepcopy=False))[:top]


def confirmed_seeds(study: optuna.Study, trial: FrozenTrial) -> set[int]:
    """The seeds on which `trial` has been confirmed already."""
    return set(map(int, study.user_attrs.get(CONFIRMATIONS, {}).get(str(trial.number), {})))


def confirm_candidates(
    study: optuna.Study,
    hypermodel: keras_tuner.HyperModel,
    space: keras_tuner.HyperParameters,
    dataset: Dataset,
    *,
    objective: str,
    epochs: int,
    top: int,
    seeds: Sequence[int],
    observer: ConfirmationObserver,
) -> list[Candidate]:
    """The `top` best results, each trained on every seed; the best by its mean first, of equals the smaller network.

    Each result is kept in the study as soon as it is there: an interrupted confirmation goes on where it was. Raises
    SearchFailed when the study has no complete trial.
    """
    goal = goal_of(study)
    trials = chosen(study, top)
    if not trials:
        raise SearchFailed(
            f"study {study.study_name!r} has no trial to confirm: {goal.unmet()}; search with more trials"
        )
    candidates = [
        _confirm(study, trial, hypermodel, space, dataset, objective, epochs, seeds, observer) for trial in trials
    ]
    return sorted(candidates, key=lambda c: (c.rank(goal), math.inf if c.params is None else c.params, c.trial))


def _confirm(
    study: optuna.Study,
    trial: FrozenTrial,
    hypermodel: keras_tuner.HyperModel,
    space: keras_tuner.HyperParameters,
    dataset: Dataset,
    objective: str,
    epochs: int,
    seeds: Sequence[int],
    observer: ConfirmationObserver,
) -> Candidate:
    known = study.user_attrs.get(CONFIRMATIONS, {})
    results: dict[str, Any] = dict(known.get(str(trial.number), {}))
    summary = str(trial.user_attrs.get("summary", ""))
    for seed in seeds:
        if str(seed) in results:
            continue
        observer.training_started(trial.number, seed, summary, "confirm")
        _, history = train(
            hypermodel,
            values_of(space, trial),
            seed,
            dataset.x_train,
            dataset.y_train,
            epochs,
            validation=(dataset.x_validation, dataset.y_validation),
            report=lambda epoch, metrics: observer.epoch_ended(trial.number, epoch, metrics),
        )
        value = history[-1][objective]
        if not math.isfinite(value):
            raise SearchFailed(
                f"{objective} of trial {trial.number} is {value} with seed {seed}: it cannot be confirmed"
            )
        results[str(seed)] = {"value": value, "history": [finite_metrics(epoch) for epoch in history]}
        study.set_user_attr(CONFIRMATIONS, study.user_attrs.get(CONFIRMATIONS, {}) | {str(trial.number): results})
        observer.training_ended(trial.number, value)
    kept = [results[str(seed)] for seed in seeds]
    return Candidate(
        trial=trial.number,
        params=trial.user_attrs.get("params"),
        costs={name: trial.user_attrs.get(name) for name in COSTS},
        summary=summary,
        search_value=score_of(trial),
        values=tuple(result["value"] for result in kept),
        histories=tuple(tuple(result["history"]) for result in kept),
    )


def values_of(space: keras_tuner.HyperParameters, trial: FrozenTrial) -> keras_tuner.HyperParameters:
    """The hyperparameters of the space with the values of `trial`."""
    hyperparameters = space.copy()
    hyperparameters.values = dict(trial.user_attrs.get(HYPERPARAMETERS, trial.params))
    return hyperparameters


def train_final(
    hypermodel: keras_tuner.HyperModel,
    hyperparameters: keras_tuner.HyperParameters,
    dataset: Dataset,
    trial: int,
    summary: str,
    epochs: int,
    seeds: Sequence[int],
    observer: ConfirmationObserver,
) -> list[keras.Model]:
    """The winner on training and validation images together, once per seed. The first one is the model that ships."""
    x = np.concatenate([dataset.x_train, dataset.x_validation])
    y = np.concatenate([dataset.y_train, dataset.y_validation])
    models: list[keras.Model] = []
    for seed in seeds:
        observer.training_started(trial, seed, summary, "final")
        model, _ = train(
            hypermodel,
            hyperparameters,
            seed,
            x,
            y,
            epochs,
            report=lambda epoch, metrics: observer.epoch_ended(trial, epoch, metrics),
        )
        observer.training_ended(trial, None)
        models.append(model)
    return models


def save_model(model: keras.Model, path: Path) -> Path:
    """Write the model in Keras's own format, replacing an older one only when the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.partial.keras")
    model.save(temporary)
    temporary.replace(path)
    return path


def champion_of(study: optuna.Study) -> Mapping[str, Any] | None:
    """The record of the study's confirmed winner, or None."""
    return study.user_attrs.get(CHAMPION)
