"""The champion's record: its card and the manifest of its export are written from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import optuna

from ...spaces.chip import chip_cost
from ...spaces.space import SearchSpace
from ..errors import InputError
from ..study.attributes import IDENTITY, SEARCH_SECONDS
from ..study.goal import goal_of
from ..study.records import counts, description
from .confirmation import Candidate, Retraining
from .ledger import openings

CHAMPION = "champion"
"""User attribute of a study: the record of its champion."""
MODEL_NAME = "champion.keras"


def champion_of(study: optuna.Study) -> Mapping[str, Any] | None:
    """The record of the study's confirmed winner, or None."""
    return study.user_attrs.get(CHAMPION)


def champion_record(
    study: optuna.Study, candidates: Sequence[Candidate], seeds: Sequence[int], retraining: Retraining
) -> dict[str, Any]:
    """What is known of the winner before its test, JSON-able.

    Args:
        candidates: those that were confirmed, the winner first.
        seeds: they were trained on.
    """
    winner, goal, dataset = candidates[0], goal_of(study), retraining.dataset
    trials = study.get_trials(deepcopy=False)
    hyperparameters = retraining.hyperparameters(trials[winner.trial])
    return {
        "study": study.study_name,
        "data": {
            "name": dataset.name,
            **dataset.identity(),
            "input_shape": list(dataset.input_shape),
            **dataset.task.record(),
        },
        "budget": study.user_attrs[IDENTITY]["budget"],
        "trial": winner.trial,
        "summary": winner.summary,
        **_size(retraining.hypermodel, winner, hyperparameters),
        "hyperparameters": dict(hyperparameters.values),
        "epochs": retraining.epochs,
        "objective": retraining.objective,
        "direction": goal.metric.direction,
        "goal": goal.description(),
        "search_value": winner.search_value,
        "candidates": [
            {
                "trial": candidate.trial,
                **candidate.costs,
                "summary": candidate.summary,
                "search_value": candidate.search_value,
                "values": list(candidate.values),
                "mean": candidate.mean,
                "std": candidate.std,
                "n": len(candidate.values),
            }
            for candidate in candidates
        ],
        "seeds": list(seeds),
        "validation": {
            "mean": winner.mean,
            "std": winner.std,
            "n": len(winner.values),
            "values": list(winner.values),
        },
        "winners_curse": winner.search_value - winner.mean,
        "test": None,
        "openings": [vars(opening) for opening in openings(study)],
        "histories": [[dict(epoch) for epoch in history] for history in winner.histories],
        "train_images_final": len(dataset.x_train) + len(dataset.x_validation),
        "search": {**counts(trials), "seconds": round(study.user_attrs.get(SEARCH_SECONDS, 0.0), 1)},
    }


def _size(hypermodel: Any, winner: Candidate, hyperparameters: keras_tuner.HyperParameters) -> dict[str, Any]:
    if not isinstance(hypermodel, SearchSpace):
        return {**winner.costs, "trainable": None, "non_trainable": None, "recipe": None}
    cost, chip = hypermodel.cost(hyperparameters), chip_cost(hypermodel.architecture(hyperparameters))
    return {
        "layers": description(winner.summary, cost)["layers"],
        "activations": cost.peak_activation_bytes,
        "ram": None if chip is None else chip.ram,
        "flash": None if chip is None else chip.flash,
        "params": cost.params,
        "trainable": cost.trainable,
        "non_trainable": cost.non_trainable,
        "macs": cost.macs,
        "recipe": vars(hypermodel.recipe(hyperparameters)),
    }


def model_folder(folder: Path, study: str) -> Path:
    """Where the champion of `study` is saved with its card, absolute; `folder` is that of all runs."""
    return folder.resolve() / "champions" / study


def model_path_of(record: Mapping[str, Any], folder: Path) -> Path:
    """The champion's model file: where the record says, else at its usual place below `folder`, that of all runs now.

    The folder may have been moved since, and a record of 0.1.0 has a path relative to the working folder of that time,
    which says nothing in another one. Raises InputError when there is no such file.
    """
    recorded, usual = Path(record["model_path"]), model_folder(folder, record["study"]) / MODEL_NAME
    places = [recorded, usual] if recorded.is_absolute() and recorded != usual else [usual]
    for path in places:
        if path.is_file():
            return path
    raise InputError(
        f"the champion of study {record['study']!r} is not at {' or '.join(map(str, places))}: give the --folder that "
        f"it was confirmed in, or run kerastuna confirm --study {record['study']} --again"
    )
