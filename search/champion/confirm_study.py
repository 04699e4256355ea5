"""From a searched study to its champion: confirmed, tested once, saved and published."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final
from uuid import uuid4

import keras
import numpy as np
import optuna

from ...spaces.architecture import Architecture
from ...spaces.space import SearchSpace
from ..datasets.answers import Answers
from ..datasets.data import fingerprint, has_test, load_test
from ..errors import SearchFailed
from ..export.int8_models import Int8Models
from ..messages import cause
from ..study.goal import goal_of
from ..training.answers import answers_of, check_measured
from ..training.garbage import old_objects_passed_over
from ..workers.tasks import Pool
from .confirmation import Candidate, chosen, confirm_candidates, kept_results
from .evaluation import TestResult, evaluate
from .int8 import figures_of, in_int8, int8_record
from .ledger import openings, read_test_set, refuse_second_opening
from .publish import Publisher
from .record import (
    CHAMPION,
    MODEL_NAME,
    champion_of,
    champion_record,
    checkpoint_folder,
    digest_of,
    model_folder,
    model_path_of,
)
from .retraining import Retraining
from .trainings import Training, run_trainings


@final
@dataclass(frozen=True)
class Confirmation:
    """What a confirmation needs.

    Attributes:
        study: that was searched.
        retraining: how its networks are trained again.
        data: the data set as the user named it, which leads to its test part.
        folder: of the runs; the champion is saved there.
        facts: for the record: profile, space, device, backend, versions, commit.
        publisher: registers the champion.
        pool: of the workers that train; None for this process.
        command: that confirms the study, as the user can type it.
        check: called before the test set is opened and before the model is registered; it raises an error where another
            process confirms the study meanwhile.
    """

    study: optuna.Study
    retraining: Retraining
    data: str
    folder: Path
    facts: Mapping[str, Any]
    publisher: Publisher
    command: str
    pool: Pool[Any] | None = None
    check: Callable[[], None] = lambda: None


@old_objects_passed_over()
def confirm_study(confirmation: Confirmation, *, top: int, seeds: Sequence[int], again: bool) -> Mapping[str, Any]:
    """Confirm the `top` best trials on `seeds`, open the test set for the winner, and publish it.

    The champion that there is competes too, wherever it stands by now: only a better mean takes its place.

    When the same winner, on the same seeds, is the champion already, its record is returned as it is, but says why it
    has no figures in int8 where they are asked for. The test set is opened for it again only with `again`.

    A confirmation that was interrupted goes on where it stopped, within the training that ran. Models that are trained
    are kept for that too, until there is a champion.

    Returns the champion's record, which is stored in the study too. Raises SearchFailed when no trial is complete,
    OpenedBefore when the test set would be opened for the winner a second time without `again`, and SpaceError, before
    it is opened, when the winner's answers cannot be read.
    """
    study = confirmation.study
    checkpoints = checkpoint_folder(confirmation.folder, study)
    retraining = replace(confirmation.retraining, checkpoints=checkpoints)
    before = (champion_of(study) or {}).get("trial")
    confirm = partial(confirm_candidates, study, retraining, top, seeds, confirmation.pool, before)
    observer, trials = retraining.observer, chosen(study, top, before)
    kept = kept_results(study, trials, seeds)
    # Where every result is kept, nothing is trained here, and it is known which final models the champion has.
    candidates = confirm() if kept and len(kept) == len(trials) * len(seeds) else []
    champion = None if again else _champion_among(study, candidates, seeds)
    done = len(kept) + (0 if champion is None else len(seeds))
    observer.confirmation_started(study.study_name, done, (len(trials) + 1) * len(seeds))
    for trial, seed, result in kept:
        if result["value"] is not None:  # else it diverged
            observer.training_kept(trial, seed, result["value"])
    if not candidates:
        candidates = confirm()
        champion = None if again else _champion_among(study, candidates, seeds)
        if champion is not None:
            for seed in seeds:
                observer.training_spared(candidates[0].trial, seed)
    if champion is not None:
        observer.confirmation_ended()
        shutil.rmtree(checkpoints, ignore_errors=True)
        published = champion if "mlflow" in champion else _publish_again(confirmation, champion)
        return _with_int8_told(published) if retraining.measures_int8 else published
    winner = study.get_trials(deepcopy=False)[candidates[0].trial]
    tested = has_test(confirmation.data)
    if tested:
        refuse_second_opening(study, winner.number, again)
    final = run_trainings(
        [Training(winner, seed, is_final=True) for seed in seeds],
        retraining,
        confirmation.pool,
        lambda training, result: observer.training_ended(winner.number, training.seed, None),
    )
    models = [model for model, _ in final]
    ships, measured = final[0]
    observer.confirmation_ended()
    answers = _answers(retraining, ships, measured)
    path = model_folder(confirmation.folder, study) / MODEL_NAME
    record = champion_record(study, candidates, seeds, retraining) | dict(confirmation.facts)
    # They are converted before the test set is opened: an interruption in these seconds is then no opening.
    in_test = models if tested and retraining.measures_int8 else []
    with saved_model(ships, path) as new, in_int8(in_test, retraining.dataset) as quantised:
        record |= {"answers": answers.record(), "model_path": str(path), "model_sha256": digest_of(new)}
        confirmation.check()
        result, samples = _test(confirmation, record, models, answers, quantised) if tested else (None, None)
    study.set_user_attr(CHAMPION, record)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return _publish(confirmation, record, ships, result, samples)


def _champion_among(
    study: optuna.Study, candidates: Sequence[Candidate], seeds: Sequence[int]
) -> Mapping[str, Any] | None:
    """The study's champion, where it is the first of `candidates`, on the same seeds."""
    champion = champion_of(study)
    if champion is None or not candidates or champion["trial"] != candidates[0].trial:
        return None
    return champion if champion["seeds"] == list(seeds) else None


def _answers(retraining: Retraining, model: keras.Model, measured: float | None) -> Answers:
    """How the answers of a trained model are read; raises SpaceError when that is not what the training measured."""
    dataset, metric = retraining.dataset, retraining.metric
    x, y = dataset.x_validation, dataset.y_validation
    answers = answers_of(model, dataset.task, x, y, metric)
    if measured is not None:
        check_measured(model, dataset.task, answers, x, y, metric, measured)
    return answers


def _test(
    confirmation: Confirmation,
    record: dict[str, Any],
    models: Sequence[keras.Model],
    answers: Answers,
    quantised: Int8Models,
) -> tuple[TestResult, np.ndarray]:
    """Open the test set for the champion, and add to its record what the models score there, in int8 too."""
    study, retraining = confirmation.study, confirmation.retraining
    dataset = retraining.dataset
    purpose = f"the confirmed winner's {retraining.metric}"
    opening, loaded = read_test_set(study, record["trial"], purpose, partial(load_test, confirmation.data, dataset))
    assert loaded is not None  # `has_test` said so
    samples, targets = loaded
    result = evaluate(models, samples, targets, dataset.task, answers, retraining.metric)
    int8 = figures_of(quantised, samples, targets, dataset, answers, retraining.metric)
    figures = {"int8": int8_record(int8), "fingerprint": fingerprint(samples, targets)}
    record["test"] = result.record(opening) | figures
    record["openings"] = [vars(entry) for entry in openings(study)]
    return result, samples


def _publish(
    confirmation: Confirmation,
    record: dict[str, Any],
    model: keras.Model,
    result: TestResult | None,
    samples: np.ndarray | None,
) -> dict[str, Any]:
    confirmation.check()
    rank = goal_of(confirmation.study).rank(record["validation"]["mean"], record)
    record["mlflow"] = confirmation.publisher.publish(
        record, model, rank, architecture=_architecture(confirmation, record), result=result, samples=samples
    )
    confirmation.study.set_user_attr(CHAMPION, record)
    return record


def _with_int8_told(champion: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of a champion with the reason why it has no figures in int8, where it has none."""
    validation, test = champion["validation"], champion["test"]
    if validation.get("int8") is not None or (test or {}).get("int8") is not None:
        return champion
    more = "; --again measures the final models on the test set, and opens it once more" if test else ""
    told = {"missing": f"the champion was confirmed without it{more}"}
    return {**champion, "validation": {**validation, "int8": told}}


def _publish_again(confirmation: Confirmation, champion: Mapping[str, Any]) -> dict[str, Any]:
    """Publish a champion whose registration was interrupted; there are no figures of its test predictions any more."""
    path = model_path_of(confirmation.study, champion, confirmation.folder, confirmation.command)
    model: Any = keras.models.load_model(path)
    registration = champion.get("registration", uuid4().hex)
    record = {**champion, "model_path": str(path), "registration": registration}
    return _publish(confirmation, record, model, None, None)


def _architecture(confirmation: Confirmation, record: Mapping[str, Any]) -> Architecture | None:
    hypermodel = confirmation.retraining.hypermodel
    if not isinstance(hypermodel, SearchSpace):
        return None
    winner = confirmation.study.get_trials(deepcopy=False)[record["trial"]]
    return hypermodel.architecture(confirmation.retraining.hyperparameters(winner))


@contextmanager
def saved_model(model: keras.Model, path: Path) -> Iterator[Path]:
    """The model written in Keras's own format, beside `path`; it takes the place of an older one there after the block.

    When the block raises, the older one stays. Raises SearchFailed when Keras cannot write it.
    """
    new = path.with_name(f"{path.stem}.partial.keras")  # one process confirms at a time: that of a dead one is replaced
    try:
        try:
            model.save(new)
        except Exception as error:  # of a model of the user's own class
            raise SearchFailed(
                f"the champion cannot be saved ({cause(error)}): let its class have get_config, and register it with "
                "Keras"
            ) from error
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
