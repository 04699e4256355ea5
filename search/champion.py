"""From a searched study to a champion: confirmed, tested once, saved, registered, drawn and described."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from ..spaces.space import SearchSpace
from .adapters import ConfirmationProgress
from .budget import COSTS
from .confirm import (
    CHAMPION,
    Candidate,
    TestResult,
    champion_of,
    chosen,
    confirm_candidates,
    confirmed_seeds,
    evaluate,
    fresh_seeds,
    save_model,
    train_final,
    values_of,
)
from .data import has_test, load_test
from .describe import description
from .goal import SmallestNetwork
from .ledger import open_test_set, openings, refuse_second_opening
from .model_card import model_card
from .progress import Progress
from .records import counts
from .report import champion_figures
from .session import OBJECTIVE, SEARCH_SECONDS, Session
from .study import IDENTITY
from .tracking import redact
from .tracking_models import ALIAS, register_champion

CANDIDATES = {"quick": 2, "full": 3}
SEEDS = {"quick": 2, "full": 5}


def crown(
    session: Session, progress: Progress, *, top: int | None = None, seeds: int | None = None, again: bool = False
) -> Mapping[str, Any]:
    """Confirm the `top` best trials on `seeds` fresh seeds each, open the test set for the winner, register its model.

    None leaves a number to the profile. When the same winner, on as many seeds, is the champion already, its record is
    returned as it is: the test set is opened again only with `again`.

    Returns the champion's record, which is also kept in the study. Raises SearchFailed when no trial is complete, and
    InputError when the test set would be opened a second time for another number of seeds without `again`.
    """
    try:
        return _crown(session, progress, top, seeds, again)
    finally:
        session.recorder.finish("FINISHED")


def _crown(session: Session, progress: Progress, top: int | None, seeds: int | None, again: bool) -> Mapping[str, Any]:
    study, profile, dataset = session.study, session.profile, session.dataset
    top = top or CANDIDATES.get(profile.name, 3)
    fresh = fresh_seeds(session.tuner.oracle.seed, seeds or SEEDS.get(profile.name, 5))
    space = session.tuner.oracle.get_space()
    observer = ConfirmationProgress(progress, profile.epochs)
    trials = chosen(study, top)
    progress.search_started(
        study=f"confirmation of {study.study_name}",
        profile=profile.name,
        trials_done=sum(len(confirmed_seeds(study, trial).intersection(fresh)) for trial in trials),
        trials_total=(len(trials) + 1) * len(fresh),  # and the final models
        epochs=profile.epochs,
    )
    hypermodel: Any = session.tuner.hypermodel
    candidates = confirm_candidates(
        study,
        hypermodel,
        space,
        dataset,
        objective=OBJECTIVE,
        epochs=profile.epochs,
        top=top,
        seeds=fresh,
        observer=observer,
    )
    winner = candidates[0]
    champion = champion_of(study)
    if champion is not None and champion["trial"] == winner.trial and champion["seeds"] == fresh and not again:
        progress.search_ended()
        return champion if "mlflow" in champion else _publish_later(session, champion)
    tested = has_test(session.options.data)
    if tested:
        refuse_second_opening(study, winner.trial, again)
    hyperparameters = values_of(space, study.get_trials(deepcopy=False)[winner.trial])
    models = train_final(
        hypermodel, hyperparameters, dataset, winner.trial, winner.summary, profile.epochs, fresh, observer
    )
    progress.search_ended()
    record = _record(session, candidates, fresh, hyperparameters)
    path = save_model(models[0], session.options.folder / "champions" / study.study_name / "champion.keras")
    record["model_path"] = str(path)
    shown: tuple[TestResult, np.ndarray] | None = None
    if tested:
        opening = open_test_set(study, winner.trial, "the confirmed winner's accuracy")
        loaded = load_test(session.options.data, classes=dataset.classes, input_shape=dataset.input_shape)
        assert loaded is not None  # `has_test` said so
        images, labels = loaded
        result = evaluate(models, images, labels)
        record["test"] = result.record(opening)
        record["openings"] = [vars(entry) for entry in openings(study)]
        shown = result, images
    study.set_user_attr(CHAMPION, record)
    record["mlflow"] = _publish(session, record, models[0], hyperparameters, shown)
    study.set_user_attr(CHAMPION, record)
    return record


def _publish_later(session: Session, champion: Mapping[str, Any]) -> dict[str, Any]:
    """Publish a champion whose registration was cut short; the figures of its test predictions are gone."""
    space = session.tuner.oracle.get_space()
    hyperparameters = values_of(space, session.study.get_trials(deepcopy=False)[champion["trial"]])
    record = dict(champion)
    model: Any = keras.models.load_model(record["model_path"])
    record["mlflow"] = _publish(session, record, model, hyperparameters, None)
    session.study.set_user_attr(CHAMPION, record)
    return record


def _publish(
    session: Session,
    record: dict[str, Any],
    model: keras.Model,
    hyperparameters: keras_tuner.HyperParameters,
    shown: tuple[TestResult, np.ndarray] | None,
) -> dict[str, Any]:
    """Draw the study and the champion, write the card, register the model; returns the record's part on MLflow."""
    tracker, hypermodel, study = session.tracker, session.tuner.hypermodel, session.study
    result, images = shown or (None, None)
    architecture = hypermodel.architecture(hyperparameters) if isinstance(hypermodel, SearchSpace) else None
    name = re.sub(r"[/:]", "-", study.study_name)
    told = {
        "tracking_uri": redact(tracker.tracking_uri),
        "run_id": tracker.run_id,
        "model": f"models:/{name}@{ALIAS}",
    }
    folder = Path(record["model_path"]).parent
    card = folder / "MODEL_CARD.md"
    with tempfile.TemporaryDirectory() as scratch:
        figures = Path(scratch)
        drawn = champion_figures(
            record,
            architecture=architecture,
            images=images,
            labels=None if result is None else result.labels,
            predictions=None if result is None else result.predictions,
        )
        drawn.save(figures)
        card.write_text(model_card(record | {"mlflow": told}))
        shutil.copy(card, figures)
        registered = register_champion(
            session.tracking_uri,
            tracker.experiment_id,
            tracker.run_id,
            name=name,
            model=model,
            rank=session.tuner.oracle.goal.rank(record["validation"]["mean"], record),
            confirmed=record["validation"]["mean"],
            params=record["hyperparameters"],
            metrics=_metrics(record),
            tags={**session.facts, "kerastuna.study": study.study_name, "trial.number": record["trial"]},
            artifacts=figures,
        )
    if not registered.is_champion:
        told["model"] = registered.uri
        card.write_text(model_card(record | {"mlflow": told}))
    return told


def _metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """The champion's figures for MLflow."""
    metrics: dict[str, float] = {f"validation_{key}": float(record["validation"][key]) for key in ("mean", "std", "n")}
    metrics |= {key: float(record[key]) for key in COSTS if record[key] is not None}
    metrics |= {"search_value": record["search_value"], "winners_curse": record["winners_curse"]}
    test = record["test"] or {}
    keys = ("mean", "std", "min", "max", "n", "standard_error", "opening")
    return metrics | {f"test_{key}": float(test[key]) for key in keys if key in test}


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
        "reached": goal.is_met(winner.mean) if isinstance(goal, SmallestNetwork) else None,
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
