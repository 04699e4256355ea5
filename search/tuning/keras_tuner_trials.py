"""Trials of a study as trials of KerasTuner."""

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from optuna.trial import FrozenTrial, TrialState

from ..study.attributes import HYPERPARAMETERS
from ..study.goal import Goal
from ..study.records import trial_record
from .hyperparameters import hyperparameters_at


def trial_id_of(number: int) -> str:
    """KerasTuner's id of the trial with this number in the study: "0007"."""
    return f"{number:04d}"


def keras_tuner_trial(trial: FrozenTrial, space: keras_tuner.HyperParameters, objective: Any) -> Trial:
    """A trained trial of the study as a completed trial of KerasTuner.

    Args:
        trial: of the study.
        space: its hyperparameters.
        objective: KerasTuner's; its value at the last epoch is the score.
    """
    values = trial.user_attrs.get(HYPERPARAMETERS, trial.params)
    twin = Trial(hyperparameters_at(space, values), trial_id_of(trial.number), TrialStatus.COMPLETED)
    twin.score = trial_record(trial)["value"]
    twin.best_step = max(0, max(trial.intermediate_values, default=1) - 1)  # KerasTuner counts epochs from 0
    if twin.score is not None:
        twin.metrics.register(objective.name, direction=objective.direction)
        twin.metrics.update(objective.name, twin.score, step=twin.best_step)
    return twin


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
