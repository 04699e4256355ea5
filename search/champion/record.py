"""The champion's record: its card and the manifest of its export are written from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import keras_tuner
import optuna

from ...spaces.chip import chip_cost
from ...spaces.space import SearchSpace
from ..errors import InputError
from ..study.attributes import IDENTITY, NAME, SEARCH_SECONDS
from ..study.goal import goal_of
from ..study.names import CHECKPOINT_FOLDER
from ..study.records import counts, description
from ..study.study_id import found_folder, id_of, own_folder, owner_of
from .confirmation import Candidate, Retraining, diverged
from .int8 import int8_record
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
    owner = id_of(study.user_attrs)
    return {
        "study": study.study_name,
        "study_id": None if owner is None else owner.id,
        "registration": uuid4().hex,
        "data": {
            "name": dataset.name,
            **dataset.identity(),
            "input_shape": list(dataset.input_shape),
            **dataset.task.record(),
        },
        "budget": study.user_attrs[IDENTITY]["budget"],
        "trial": winner.trial,
        "reference": trials[winner.trial].user_attrs.get(NAME),
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
                "int8": int8_record(candidate.int8, retraining.measures_int8),
            }
            for candidate in candidates
        ],
        "diverged": {str(trial): problem for trial, problem in diverged(study, trials, seeds).items()},
        "seeds": list(seeds),
        "validation": {
            "mean": winner.mean,
            "std": winner.std,
            "n": len(winner.values),
            "values": list(winner.values),
            "int8": int8_record(winner.int8, retraining.measures_int8),
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
        "recipe": asdict(hypermodel.recipe(hyperparameters)),
    }


def model_folder(folder: Path, study: optuna.Study) -> Path:
    """Where the champion of `study` is saved with its card, absolute, and made; `folder` is that of all runs."""
    parent, owner = folder.resolve() / "champions", id_of(study.user_attrs)
    if owner is not None:
        return own_folder(parent, study.study_name, owner, "*.keras")
    own = parent / study.study_name
    own.mkdir(parents=True, exist_ok=True)
    return own


def digest_of(path: Path) -> str:
    """SHA-256 of a file, by which a record knows its model."""
    return sha256(path.read_bytes()).hexdigest()


def checkpoint_folder(folder: Path, study: optuna.Study) -> Path:
    """Where the trainings of a confirmation of `study` are kept until it is over; `folder` is that of all runs."""
    return model_folder(folder, study) / CHECKPOINT_FOLDER


def model_path_of(study: optuna.Study, record: Mapping[str, Any], folder: Path, command: str) -> Path:
    """The champion's model file: at its usual place below `folder`, that of all runs now, else where the record says.

    The folder may have been moved or copied since, and a record of 0.1.0 has a path relative to the working folder of
    that time, which says nothing in another one. Raises InputError when there is no such file, or only the model of
    another study or of another confirmation; its message names `command`, which confirms the study.
    """
    others: list[Path] = []
    for path in _places(study, record, folder):
        if path.is_file():
            if record.get("model_sha256") in (None, digest_of(path)):
                return path
            others.append(path)
    again = f"run {command} --again"
    if others:
        raise InputError(
            f"{str(others[0])!r} is another model than the champion of study {study.study_name!r}: give the --folder "
            f"that it was confirmed in, or {again}"
        )
    usual = folder.resolve() / "champions" / study.study_name / MODEL_NAME
    recorded = Path(record["model_path"])
    places = dict.fromkeys([*([recorded] if recorded.is_absolute() else []), usual])
    raise InputError(
        f"the champion of study {study.study_name!r} is not at {' or '.join(map(str, places))}: give the --folder that "
        f"it was confirmed in, or {again}"
    )


def _places(study: optuna.Study, record: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Where the model may be: in folders of this study."""
    owner = id_of(study.user_attrs)
    if (own := found_folder(folder.resolve() / "champions", study.study_name, owner)) is not None:
        yield own / MODEL_NAME
    recorded = Path(record["model_path"])
    if recorded.is_absolute() and owner_of(recorded.parent) in (None, owner and owner.id):
        yield recorded
