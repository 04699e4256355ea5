"""The champion in MLflow: its run with figures, the logged and registered model, and the alias that marks the best."""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from .deadline import seconds_of_a_request, within
from .runs import ID_TAG, KIND_TAG, search_runs
from .store import as_tags, is_database, log_batch, open_client, refused

if TYPE_CHECKING:
    import keras
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from ..study.study_id import StudyId

ALIAS = "champion"
CONFIRMED = "confirmed_validation"
"""Tag of a model version: its mean on validation."""
REGISTRATION = "kerastuna.registration"
"""Tag of a champion's run: what tells one registration from the next."""
RANK = "rank"
"""Tag of a model version: where it stands by that mean; the alias passes to a later one with a smaller rank."""


@final
@dataclass(frozen=True)
class RegisteredModel:
    """A version in MLflow's registry.

    Attributes:
        uri: `models:/NAME@champion` where it holds the alias, else `models:/NAME/VERSION`.
        is_champion: whether it does.
        run_id: of the run it was logged by.
    """

    uri: str
    version: int
    is_champion: bool
    run_id: str


def registered_name(tracking_uri: str, name: str, owner: StudyId | None) -> str:
    """The name of the registered model of a study, which is made where there is none: `name`, or that with an id.

    It is `name` unless a model of this name belongs to another study, or to none while `owner` was born with an id.
    Raises InputError when the store cannot be used.
    """
    if owner is None:
        return name
    with refused(tracking_uri):
        client = open_client(tracking_uri)
        return next(
            each
            for each in (name, f"{name}-{owner.short}", f"{name}-{owner.id}")
            if _belongs(client, each, owner)  # nobody else has the whole id
        )


def _make_registered_model(client: MlflowClient, name: str, tags: Mapping[str, str] | None = None) -> None:
    """Make it unless it is there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, tags=None if tags is None else dict(tags))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _belongs(client: MlflowClient, name: str, owner: StudyId) -> bool:
    _make_registered_model(client, name, {ID_TAG: owner.id})
    known = client.get_registered_model(name).tags.get(ID_TAG)
    if known is None and not owner.born:
        client.set_registered_model_tag(name, ID_TAG, owner.id)
        return True
    return known == owner.id


def register_champion(
    tracking_uri: str,
    experiment_id: str,
    parent_run_id: str,
    *,
    name: str,
    model: keras.Model,
    input_shape: Sequence[int],
    rank: Sequence[float],
    confirmed: float,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, Any],
    artifacts: Path,
    registration: str,
    description: tuple[str, str] = ("", ""),
    warn: Callable[[str], None],
) -> RegisteredModel:
    """Log `model` by a run of its own below the study's, register it, and give it the alias if it is the best yet.

    The alias stays on a version that was not made here, as of the user's own.

    A registration that was interrupted is completed, and none is done twice. One process at a time may do this for a
    study: what another one has left running is ended as failed.

    Args:
        name: of the registered model.
        registration: tells this registration from others of the study.
        model: with one input and one output; a model of the user's own class does not tell their shapes.
        input_shape: of one sample.
        rank: where the model stands by its confirmed figures, compared from the first on; the smaller the better. That
            alone decides on the alias.
        confirmed: the mean of the objective on validation over fresh seeds.
        artifacts: a folder of figures and cards, logged with the run.
        description: of the registered model, and of this version, in Markdown.
        warn: receives one line where the alias stays on such a version.

    Raises InputError when the store cannot be used.
    """
    import keras

    answers: Any = model.compute_output_spec(keras.KerasTensor((None, *input_shape)))
    shapes = tuple(input_shape), tuple(answers.shape[1:])
    with refused(tracking_uri):
        client = open_client(tracking_uri)
        if not is_database(tracking_uri):  # one that hangs would be waited for at each of the many steps
            within(seconds_of_a_request(), client, lambda client: client.get_run(parent_run_id))
        own = {"mlflow.parentRunId": parent_run_id, KIND_TAG: "champion", REGISTRATION: registration}
        run_id, number = _registered_before(client, experiment_id, parent_run_id, name, registration)
        if number is None:
            run = client.create_run(experiment_id, run_name=ALIAS, tags=as_tags({**tags, **own}))
            run_id = run.info.run_id
        try:
            if number is None:
                log_batch(client, run_id, params=params)
                client.log_artifacts(run_id, str(artifacts))
                number = _log_and_register(client, run_id, name, model, shapes, metrics)
            client.update_registered_model(name, description[0])
            client.update_model_version(name, str(number), description[1])
            client.set_model_version_tag(name, str(number), CONFIRMED, str(confirmed))
            for key, value in as_tags(tags).items():
                client.set_model_version_tag(name, str(number), key, value)
            client.set_model_version_tag(name, str(number), RANK, json.dumps(list(rank)))
            champion = _passes(client, name, number, rank, warn)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
    return RegisteredModel(
        f"models:/{name}@{ALIAS}" if champion else f"models:/{name}/{number}", number, champion, run_id
    )


def _registered_before(
    client: MlflowClient, experiment_id: str, parent_run_id: str, name: str, registration: str
) -> tuple[str, int | None]:
    """The run and the version of a `registration` that came so far; what other processes left running is ended."""
    condition = f"tags.`mlflow.parentRunId` = '{parent_run_id}' AND tags.`{KIND_TAG}` = 'champion'"
    found: tuple[str, int | None] = "", None
    for run in search_runs(client, experiment_id, condition):
        own = run.data.tags.get(REGISTRATION) == registration
        versions = client.search_model_versions(f"run_id = '{run.info.run_id}'") if own else []
        if of_name := [int(version.version) for version in versions if version.name == name]:
            found = run.info.run_id, of_name[0]
        elif run.info.status == "RUNNING":
            _end_leftover(client, experiment_id, run)
    return found


def _end_leftover(client: MlflowClient, experiment_id: str, run: Run) -> None:
    """End the run of a process that was killed before its model had a version."""
    for logged in client.search_logged_models([experiment_id], f"source_run_id = '{run.info.run_id}'"):
        if str(logged.status) == "PENDING":
            client.finalize_logged_model(logged.model_id, "FAILED")
    client.set_terminated(run.info.run_id, "FAILED")


def _log_and_register(
    client: MlflowClient,
    run_id: str,
    name: str,
    model: keras.Model,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    metrics: Mapping[str, float],
) -> int:
    """Returns the number of the version; `shapes` are those of one sample and of the answer to it."""
    import logging

    import mlflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float32"), (-1, *shapes[0]), "samples")]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, *shapes[1]), "answers")]),
    )
    before, variable = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    chatter = logging.getLogger("mlflow")
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        mlflow.set_tracking_uri(client.tracking_uri)
        with (
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
            mlflow.start_run(run_id=run_id, nested=True, log_system_metrics=False),  # the user may have a run, too
        ):
            # Of MLflow's own wrapper, when it is imported here for the first time; a Keras model has no type hints.
            warnings.filterwarnings("ignore", message=".*Any type hint is inferred", category=UserWarning)
            logged = mlflow.keras.log_model(  # pyright: ignore[reportPrivateImportUsage]
                model,
                name=ALIAS,
                signature=signature,
                pip_requirements=_requirements(),
                params={"parameters": str(model.count_params())},
            )
            mlflow.log_metrics(dict(metrics), model_id=logged.model_id)  # of the run, too
            # MLflow's function that registers a model would take the registry of MLFLOW_REGISTRY_URI.
            _make_registered_model(client, name)
            source, model_id = f"models:/{logged.model_id}", str(logged.model_id)
            made = client.create_model_version(name, source, run_id=run_id, model_id=model_id)
    finally:
        mlflow.set_tracking_uri(before)  # which sets the variable
        if variable is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        chatter.setLevel(level)
    return int(made.version)


def _requirements() -> Sequence[str]:
    import keras

    backend = keras.backend.backend()
    return [f"{package}=={version(package)}" for package in ("keras", backend, "numpy")]


def _passes(client: MlflowClient, name: str, number: int, rank: Sequence[float], warn: Callable[[str], None]) -> bool:
    """Give the alias to version `number` if no other holds it, or one whose rank is larger."""
    aliases = client.get_registered_model(name).aliases
    if ALIAS in aliases:
        if int(aliases[ALIAS]) == number:  # it was given in a registration that was interrupted afterwards
            return True
        held = _rank_of(client.get_model_version(name, str(aliases[ALIAS])).tags)
        if held is None:
            warn(
                f"the alias {ALIAS} of the registered model {name!r} is on version {aliases[ALIAS]}, which was not "
                f"registered by kerastuna: it stays there, and the new version is {number}"
            )
        if held is None or list(rank) >= held:
            return False
    client.set_registered_model_alias(name, ALIAS, str(number))
    return True


def _rank_of(tags: Mapping[str, str]) -> list[float] | None:
    """The rank of a version; None for one that was not registered here."""
    try:
        rank = json.loads(tags.get(RANK, ""))
    except ValueError:
        return None
    return rank if isinstance(rank, list) and all(isinstance(part, int | float) for part in rank) else None
