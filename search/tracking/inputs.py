"""Data sets in MLflow: what a run was trained and validated on, by name, fingerprint and shape, without samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from .store import as_value

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST = 16
"""The first characters of a fingerprint that tell a data set; MLflow takes up to 36."""


@final
@dataclass(frozen=True)
class DataPart:
    """The part of a data set that a run used.

    Attributes:
        name: of the data set.
        context: what it was used for, such as "training".
        fingerprint: SHA-256 of the data set.
        samples: how many there are.
        shape: of one of them; None where it is not known.
    """

    name: str
    context: str
    fingerprint: str
    samples: int
    shape: Sequence[int] | None = None


def parts_of(name: str, data: Mapping[str, Any]) -> tuple[DataPart, ...]:
    """The training and validation parts that `data`, of a study's identity, tells of; none where it does not."""
    if "fingerprint" not in data:
        return ()
    told = {"training": data.get("images"), "validation": data.get("validation")}
    return tuple(
        DataPart(name, context, data["fingerprint"], samples, data.get("input_shape"))
        for context, samples in told.items()
        if samples
    )


def log_parts(client: MlflowClient, run_id: str, parts: Sequence[DataPart]) -> None:
    """Log `parts` as the inputs of a run. They are the same data sets in MLflow for all runs of an experiment."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            # MLflow takes two parts of one name and digest for the same.
            dataset=Dataset(
                name=as_value(f"{part.name} {part.context}", 500),
                digest=part.fingerprint[:DIGEST],
                source_type="code",
                source=json.dumps({"tags": {"mlflow.source.name": "kerastuna"}}),
                schema=None if part.shape is None else json.dumps({"mlflow_tensorspec": _features(part.shape)}),
                profile=json.dumps({"num_rows": part.samples, "sha256": part.fingerprint}),
            ),
            tags=[InputTag("mlflow.data.context", part.context)],
        )
        for part in parts
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def _features(shape: Sequence[int]) -> dict[str, Any]:
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, *shape]}}
    return {"features": json.dumps([spec]), "targets": None}
