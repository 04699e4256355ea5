"""From a searched study to a champion: confirmed, tested once, saved, registered, drawn and described."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from ..champion.confirmation import (
    CHAMPION,
    champion_of,
    chosen,
    confirm_candidates,
    confirmed_seeds,
    fresh_seeds,
    save_model,
    train_final,
    values_of,
)
from ..champion.evaluation import TestResult, evaluate
from ..champion.ledger import open_test_set, openings, refuse_second_opening
from ..champion.publish import _publish
from ..champion.record import _record
from ..datasets.data import has_test, load_test
from ..display.progress import Progress
from .observers import ConfirmationProgress
from .options import OBJECTIVE
from .session import Session

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
