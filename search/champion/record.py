"""The champion's record: what its card and its manifest are written from."""

from typing import Any

import keras_tuner

from ...spaces.space import SearchSpace
from ..commands.options import OBJECTIVE
from ..commands.session import Session
from ..study.attributes import IDENTITY, SEARCH_SECONDS
from ..study.records import counts, description
from .confirmation import Candidate
from .ledger import openings


def _record(
    session: Session,
    candidates: list[Candidate],
    seeds: list[int],
    hyperparameters: keras_tuner.HyperParameters,
) -> dict[str, Any]:
    """The champion's record but for the test and MLflow, JSON-able: what the card and the manifest are written from."""
    study, options, profile, dataset = session.study, session.options, session.profile, session.dataset
    winner, goal = candidates[0], session.tuner.oracle.goal
    trials = study.get_trials(deepcopy=False)
    return {
        "study": study.study_name,
        "profile": profile.name,
        "space": options.space,
        "data": {
            "name": dataset.name,
            **dataset.identity(),
            "input_shape": list(dataset.input_shape),
            "classes": dataset.classes,
        },
        "budget": study.user_attrs[IDENTITY]["budget"],
        "trial": winner.trial,
        "summary": winner.summary,
        **_size(session, winner, hyperparameters),
        "hyperparameters": dict(hyperparameters.values),
        "epochs": profile.epochs,
        "objective": OBJECTIVE,
        "goal": goal.description(),
        "reached": goal.is_met(winner.mean) if goal.target is not None else None,
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
        "seeds": seeds,
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
        **{key: session.facts[key] for key in ("device", "backend", "versions", "git_commit")},
    }


def _size(session: Session, winner: Candidate, hyperparameters: keras_tuner.HyperParameters) -> dict[str, Any]:
    hypermodel = session.tuner.hypermodel
    if not isinstance(hypermodel, SearchSpace):
        return {**winner.costs, "trainable": None, "non_trainable": None, "recipe": None}
    cost = hypermodel.cost(hyperparameters)
    described = description(winner.summary, cost)
    return {
        "layers": described["layers"],
        "ram": cost.peak_activation_bytes,
        "params": cost.params,
        "trainable": cost.trainable,
        "non_trainable": cost.non_trainable,
        "macs": cost.macs,
        "recipe": vars(hypermodel.recipe(hyperparameters)),
    }
