"""Confirmation: the best trials again on fresh seeds, the winner by its mean, the test set opened once for it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import keras
import keras_tuner
import numpy as np
import optuna
from optuna.trial import FrozenTrial

from ..datasets.data import Dataset
from ..errors import KerastunaError, SearchFailed
from ..messages import cause
from ..study.attributes import HYPERPARAMETERS
from ..study.budget import COSTS
from ..study.goal import Goal, Rank, goal_of, score_of
from ..study.records import finite_metrics
from ..study.seeds import derive_seed
from ..training.epochs import EpochMetrics
from ..training.hypermodels import has_own_fit
from ..training.metric_values import number_of, objective_problem
from ..training.train import train
from ..tuning.hyperparameters import hyperparameters_at
from .evaluation import spread

CONFIRMATIONS = "confirmations"
"""User attribute of a study: trial number -> seed -> {"value", "history"}, so that nothing is trained twice."""


class ConfirmationObserver(Protocol):
    """Told of every step of a confirmation."""

    def confirmation_started(self, study: str, done: int, total: int) -> None:
        """A confirmation of the study begins, in which `done` of `total` trainings are done already."""
        ...

    def confirmation_ended(self) -> None:
        """All trainings are done."""
        ...

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:
        """A training begins, to "confirm" a candidate or for the "final" model."""
        ...

    def epoch_ended(self, trial: int, epoch: int, metrics: EpochMetrics) -> None:
        """An epoch, from 1, ended."""
        ...

    def training_ended(self, trial: int, value: float | None) -> None:
        """A training ended with the objective at its last epoch; None where there was no validation."""
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


@final
@dataclass(frozen=True)
class Retraining:
    """How the networks of a confirmation are trained.

    Attributes:
        hypermodel: builds and fits them.
        space: the hyperparameters known by now.
        dataset: training and validation samples.
        objective: name of the metric on validation.
        epochs: of every training.
        observer: told of every training.
    """

    hypermodel: Any
    space: keras_tuner.HyperParameters
    dataset: Dataset
    objective: str
    epochs: int
    observer: ConfirmationObserver

    @property
    def metric(self) -> str:
        """The objective as Keras calls it where there is no validation."""
        return self.objective.removeprefix("val_")

    def hyperparameters(self, trial: FrozenTrial) -> keras_tuner.HyperParameters:
        """The space with the values of `trial`."""
        return hyperparameters_at(self.space, trial.user_attrs.get(HYPERPARAMETERS, trial.params))

    def on_training_images(self, trial: FrozenTrial, seed: int) -> list[EpochMetrics]:
        """Train the network of `trial` as in the search, from `seed`; returns the metrics of every epoch.

        Raises SearchFailed when it cannot be trained, and when the objective is missing or not finite at the end.
        """
        dataset = self.dataset
        validation = (dataset.x_validation, dataset.y_validation)
        _, history = self._train(trial, seed, "confirm", dataset.x_train, dataset.y_train, validation)
        last = history[-1]
        if (told := objective_problem([self.objective], last)) is not None:
            raise SearchFailed(f"trial {trial.number} cannot be confirmed: {told}")
        value = last[self.objective]
        if not math.isfinite(value):
            raise SearchFailed(
                f"{self.objective} of trial {trial.number} is {value} with seed {seed}: it cannot be confirmed"
            )
        return history

    def on_all_images(self, trial: FrozenTrial, seed: int) -> tuple[keras.Model, float | None]:
        """Train the network of `trial` on training and validation samples together, from `seed`.

        A `fit` of the hypermodel's own may need validation samples. It is given those of the search, although they are
        among its training samples too: what it measures on them says nothing about the network.

        Raises SearchFailed when it cannot be trained.
        """
        dataset = self.dataset
        x = np.concatenate([dataset.x_train, dataset.x_validation])
        y = np.concatenate([dataset.y_train, dataset.y_validation])
        seen = (dataset.x_validation, dataset.y_validation) if has_own_fit(self.hypermodel) else None
        model, history = self._train(trial, seed, "final", x, y, seen)
        self.observer.training_ended(trial.number, None)
        return model, None if seen is None else number_of(history[-1].get(self.objective))

    def _train(
        self, trial: FrozenTrial, seed: int, purpose: str, x: np.ndarray, y: np.ndarray, validation: Any
    ) -> tuple[keras.Model, list[EpochMetrics]]:
        self.observer.training_started(trial.number, seed, _summary(trial), purpose)
        try:
            return train(
                self.hypermodel,
                self.hyperparameters(trial),
                seed,
                x,
                y,
                self.epochs,
                validation=validation,
                objective=self.objective,
                report=lambda epoch, metrics: self.observer.epoch_ended(trial.number, epoch, metrics),
            )
        except SearchFailed as error:
            raise SearchFailed(f"trial {trial.number} with seed {seed}: {error}") from error
        except KerastunaError:
            raise
        except Exception as error:  # of the user's code
            raise SearchFailed(
                f"trial {trial.number} cannot be trained again with seed {seed}: {cause(error)}"
            ) from error


def confirm_candidates(study: optuna.Study, retraining: Retraining, top: int, seeds: Sequence[int]) -> list[Candidate]:
    """The `top` best results, each trained on every seed; the best mean first, of equal ones the smaller network.

    Each result is stored in the study as soon as it is known: an interrupted confirmation goes on where it stopped.
    Raises SearchFailed when the study has no complete trial.
    """
    goal = goal_of(study)
    trials = chosen(study, top)
    if not trials:
        raise SearchFailed(
            f"study {study.study_name!r} has no trial to confirm: {goal.unmet()}; search with more trials"
        )
    candidates = [_confirm(study, trial, retraining, seeds) for trial in trials]
    return sorted(candidates, key=lambda c: (c.rank(goal), math.inf if c.params is None else c.params, c.trial))


def _confirm(study: optuna.Study, trial: FrozenTrial, retraining: Retraining, seeds: Sequence[int]) -> Candidate:
    results: dict[str, Any] = dict(study.user_attrs.get(CONFIRMATIONS, {}).get(str(trial.number), {}))
    for seed in seeds:
        if str(seed) in results:
            continue
        history = retraining.on_training_images(trial, seed)
        value = history[-1][retraining.objective]
        results[str(seed)] = {"value": value, "history": [finite_metrics(epoch) for epoch in history]}
        study.set_user_attr(CONFIRMATIONS, study.user_attrs.get(CONFIRMATIONS, {}) | {str(trial.number): results})
        retraining.observer.training_ended(trial.number, value)
    kept = [results[str(seed)] for seed in seeds]
    return Candidate(
        trial=trial.number,
        params=trial.user_attrs.get("params"),
        costs={name: trial.user_attrs.get(name) for name in COSTS},
        summary=_summary(trial),
        search_value=score_of(trial),
        values=tuple(result["value"] for result in kept),
        histories=tuple(tuple(result["history"]) for result in kept),
    )


def _summary(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get("summary", ""))
