"""Trials of a study as trials of KerasTuner."""

import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from optuna.trial import FrozenTrial, TrialState

from ..study.attributes import HISTORY, HYPERPARAMETERS, METRICS
from ..study.goal import Goal, score_of
from ..study.records import finite, own_values, trial_record
from .hyperparameters import hyperparameters_at

_OF_THE_TRAINING = {"learning_rate", "seconds", "compile_seconds"}
"""What a history has besides metrics."""


def trial_id_of(number: int) -> str:
    """KerasTuner's id of the trial with this number in the study: "0007"."""
    return f"{number:04d}"


def keras_tuner_trial(trial: FrozenTrial, space: keras_tuner.HyperParameters, objective: Any) -> Trial:
    """A trained trial of the study as a completed trial of KerasTuner.

    Args:
        trial: of the study.
        space: its hyperparameters.
        objective: KerasTuner's; its value at the end of the training is the score.
    """
    values = trial.user_attrs.get(HYPERPARAMETERS, trial.params)
    twin = Trial(hyperparameters_at(space, values), trial_id_of(trial.number), TrialStatus.COMPLETED)
    is_complete = trial.state == TrialState.COMPLETE
    twin.score = score_of(trial) if is_complete else trial_record(trial)["value"]  # which has no infinity
    twin.best_step = _step_of(trial, twin.score)
    if (stored := trial.user_attrs.get(METRICS)) is not None:
        twin.metrics = twin.metrics.from_config({"metrics": _changed(stored, lambda x: math.nan if x is None else x)})
        if twin.metrics.exists(objective.name):
            twin.best_step = twin.metrics.get_history(objective.name)[-1].step
    elif twin.score is not None:  # a study of an earlier version
        epoch = dict(enumerate(trial.user_attrs.get(HISTORY, ()))).get(twin.best_step, {})
        twin.metrics.register(objective.name, direction=objective.direction)
        for name, value in {**epoch, objective.name: twin.score}.items():
            if name not in _OF_THE_TRAINING and value is not None:
                twin.metrics.update(name, value, step=twin.best_step)
    return twin


def stored_metrics(trial: Trial) -> dict[str, Any]:
    """The metrics of KerasTuner's trial as the attribute `METRICS`, with None in place of NaN and infinity."""
    return _changed(trial.metrics.get_config()["metrics"], finite)


def _changed(metrics: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        name: {
            "direction": metric["direction"],
            "observations": [
                {"value": [change(value) for value in seen["value"]], "step": seen["step"]}
                for seen in metric["observations"]
            ],
        }
        for name, metric in metrics.items()
    }


def _step_of(trial: FrozenTrial, score: float | None) -> int:
    """The last epoch, from 0, that reported the score; the last of all where none did."""
    reported = own_values(trial)
    epochs = [epoch for epoch, value in reported if value == score] or [epoch for epoch, _ in reported]
    return max(0, max(epochs, default=1) - 1)


def warn_of_other_trials(folder: Path) -> None:
    """Warn when a project's folder, whose study is empty, holds trials that KerasTuner wrote."""
    if any(folder.glob("trial_*/trial.json")):
        message = (
            f"{str(folder)!r} holds trials of another tuner or of a study that is gone, which are not read: give "
            "another project_name, or overwrite=True"
        )
        warnings.warn(message, stacklevel=3)


def best_trials(
    goal: Goal, stored: Sequence[FrozenTrial], known: Mapping[str, Trial], ending: Collection[str]
) -> list[Trial]:
    """The best complete trials, best first.

    Args:
        goal: of the study.
        stored: all trials of the study.
        known: KerasTuner's trials by their ids, those made by hand included.
        ending: the ids of trials that end in this moment, and are not complete in the study yet.
    """
    board = [trial_id_of(trial.number) for trial in goal.leaderboard(stored)]
    best = [known[trial_id] for trial_id in board if trial_id in known]
    if not goal.compares_by_metric:
        return best
    # Trials made by hand, and those with infinite scores, have a place too.
    states = {trial_id_of(trial.number): trial.state for trial in stored}
    for trial_id, trial in known.items():
        here = states.get(trial_id) in (None, TrialState.COMPLETE) or trial_id in ending
        if here and trial_id not in board and _is_complete(trial):
            best.append(trial)
    return sorted(best, key=lambda trial: goal.rank(trial.score or 0.0, {}))


def _is_complete(trial: Trial) -> bool:
    return trial.status == TrialStatus.COMPLETED and trial.score is not None and not math.isnan(trial.score)
