"""How a network is trained again for a confirmation, and who is told of it."""

import math
from abc import ABC
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import keras
import keras_tuner
import numpy as np
from optuna.trial import FrozenTrial

from ..datasets.data import Dataset
from ..errors import Diverged, KerastunaError, SearchFailed
from ..messages import cause
from ..study.attributes import HYPERPARAMETERS
from ..study.int8_names import in_float, is_in_int8
from ..study.network_name import network_name
from ..training.checkpoints import Checkpoint
from ..training.epochs import EpochMetrics
from ..training.hypermodels import has_own_fit
from ..training.metric_values import number_of, objective_problem
from ..training.train import train
from ..tuning.hyperparameters import hyperparameters_at
from ..tuning.same_networks import check_parameters
from .int8 import Figure, validation_figure

CONFIRM, FINAL = "confirm", "final"
"""What a network is trained again for."""


class ConfirmationObserver(ABC):  # noqa: B024  every method may be left out
    """Told of every step of a confirmation. Several trainings may run at the same time.

    Each method does nothing until it is overridden.
    """

    def confirmation_started(self, study: str, done: int, total: int) -> None:  # noqa: B027
        """A confirmation of the study begins, in which `done` of `total` trainings are done already."""

    def confirmation_ended(self) -> None:  # noqa: B027
        """All trainings are done."""

    def training_started(self, trial: int, seed: int, summary: str, purpose: str) -> None:  # noqa: B027
        """A training begins, to "confirm" a candidate or for the "final" model."""

    def epoch_ended(self, trial: int, seed: int, epoch: int, metrics: EpochMetrics) -> None:  # noqa: B027
        """An epoch, from 1, ended."""

    def batches_done(self, trial: int, seed: int, epoch: int, done: int, batches: int | None) -> None:  # noqa: B027
        """An epoch, from 1, takes long: `done` of its `batches` are done, None if not known."""

    def training_kept(self, trial: int, seed: int, value: float) -> None:  # noqa: B027
        """A training of a candidate is among those that are done already: the study has its objective."""

    def training_spared(self, trial: int, seed: int) -> None:  # noqa: B027
        """A final model is not trained: the champion that there is has it, as is known only now."""

    def training_ended(self, trial: int, seed: int, value: float | None) -> None:  # noqa: B027
        """A training ended with the objective at its last epoch: NaN if it diverged, None without validation."""


NOBODY = ConfirmationObserver()
"""Is told, and does nothing."""


@final
@dataclass(frozen=True)
class Confirmed:
    """What a training tells of a candidate.

    Attributes:
        history: the metrics of every epoch.
        int8: the figure of its model in int8; None where it was not measured.
        problem: why it has no score, where its loss or its objective is not finite.
    """

    history: list[EpochMetrics]
    int8: Figure | None
    problem: str | None = None


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
        observer: told of every training; by default nobody.
        checkpoints: the folder that every training is kept in; None for nowhere.
        int8: whether the models are measured in int8, too; where the objective is in int8, they are in any case.
    """

    hypermodel: Any
    space: keras_tuner.HyperParameters
    dataset: Dataset
    objective: str
    epochs: int
    observer: ConfirmationObserver = NOBODY
    checkpoints: Path | None = None
    int8: bool = False

    @property
    def metric(self) -> str:
        """The objective in float, as Keras calls it where there is no validation."""
        return in_float(self.objective).removeprefix("val_")

    @property
    def measures_int8(self) -> bool:
        """Whether the models are measured in int8."""
        return self.int8 or is_in_int8(self.objective)

    def hyperparameters(self, trial: FrozenTrial) -> keras_tuner.HyperParameters:
        """The space with the values of `trial`."""
        return hyperparameters_at(self.space, _values_of(trial))

    def forget(self, trial: FrozenTrial, seed: int, purpose: str) -> None:
        """Remove the checkpoint of a training to "confirm" a candidate or for the "final" model."""
        if (path := self._checkpoint(trial, seed, purpose)) is not None:
            Checkpoint(path, {}).remove()

    def on_training_images(self, trial: FrozenTrial, seed: int) -> Confirmed:
        """Train the network of `trial` as in the search, from `seed`.

        Raises SearchFailed when it cannot be trained, and when the objective is missing at the end.
        """
        dataset = self.dataset
        validation = (dataset.x_validation, dataset.y_validation)
        try:
            model, history = self._train(trial, seed, CONFIRM, dataset.x_train, dataset.y_train, validation)
        except Diverged as error:
            return Confirmed([], None, str(error))
        int8 = validation_figure(model, dataset, self.metric) if self.measures_int8 else None
        if int8 is not None and is_in_int8(self.objective):
            if "missing" in int8:
                told = f"{self.objective} is not known, {int8['missing']}"
                raise SearchFailed(f"trial {trial.number} cannot be confirmed: {told}")
            history[-1] = {**history[-1], self.objective: int8["value"]}
        last = history[-1]
        if (told := objective_problem([self.objective], last)) is not None:
            raise SearchFailed(f"trial {trial.number} cannot be confirmed: {told}")
        is_finite = math.isfinite(value := last[self.objective])
        return Confirmed(
            history, int8, None if is_finite else f"trial {trial.number} with seed {seed}: {self.objective} is {value}"
        )

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
        model, history = self._train(trial, seed, FINAL, x, y, seen)
        return model, None if seen is None else number_of(history[-1].get(in_float(self.objective)))

    def _checkpoint(self, trial: FrozenTrial, seed: int, purpose: str) -> Path | None:
        return None if self.checkpoints is None else self.checkpoints / f"{purpose}_{trial.number}_{seed}.npz"

    def _train(
        self, trial: FrozenTrial, seed: int, purpose: str, x: np.ndarray, y: np.ndarray, validation: Any
    ) -> tuple[keras.Model, list[EpochMetrics]]:
        self.observer.training_started(trial.number, seed, summary_of(trial), purpose)
        try:
            return train(
                self.hypermodel,
                self.hyperparameters(trial),
                seed,
                x,
                y,
                self.epochs,
                validation=validation,
                objective=in_float(self.objective),
                report=lambda epoch, metrics: self.observer.epoch_ended(trial.number, seed, epoch, metrics),
                kept_in=self._checkpoint(trial, seed, purpose),
                report_batches=lambda *told: self.observer.batches_done(trial.number, seed, *told),
                check=lambda model: check_parameters(model, trial),
            )
        except SearchFailed as error:
            raise type(error)(f"trial {trial.number} with seed {seed}: {error}") from error
        except KerastunaError:
            raise
        except Exception as error:  # of the user's code
            raise SearchFailed(
                f"trial {trial.number} cannot be trained again with seed {seed}: {cause(error)}"
            ) from error


def summary_of(trial: FrozenTrial) -> str:
    """The network of `trial` in a few words, or its hyperparameters; empty where neither is known."""
    return network_name(str(trial.user_attrs.get("summary", "")), _values_of(trial))


def _values_of(trial: FrozenTrial) -> dict[str, Any]:
    return trial.user_attrs.get(HYPERPARAMETERS, trial.params)
