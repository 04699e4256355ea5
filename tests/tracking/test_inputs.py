"""Data sets as inputs of a run: their names, digests and shapes; no samples."""

import json
from typing import Any

import pytest
from tracking_support import client_of, runs_of

from kerastuna.search.tracking.inputs import DataPart, parts_of

# MLflow calls SQLAlchemy 2.1 in ways that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

DATA = {"fingerprint": "0123456789abcdef" * 4, "images": 300, "validation": 40, "input_shape": [28, 28, 1]}


def test_the_parts_of_a_study_are_read_from_its_identity():
    assert [(part.context, part.samples) for part in parts_of("digits", DATA)] == [
        ("training", 300),
        ("validation", 40),
    ]
    assert [part.context for part in parts_of("digits", DATA | {"validation": 0})] == ["training"]
    assert parts_of("digits", {}) == ()


def test_the_runs_of_a_study_have_the_same_data_sets(tracker, uri):
    parts = parts_of("digits", DATA)
    tracker.log_data(parts)
    run_id = tracker.start_training("confirm-0000-seed-7", {"trial.number": 0, "seed": 7})
    tracker.log_data(parts, run_id)
    tracker.log_data([], run_id)  # as of a study whose data are not known
    runs: list[Any] = [client_of(uri).get_run(each) for each in (tracker.run_id, run_id)]
    told = [run.inputs.dataset_inputs for run in runs]
    assert [part.dataset for part in told[0]] == [part.dataset for part in told[1]]
    training = next(part for part in told[0] if part.dataset.name == "digits training")
    assert training.dataset.digest == "0123456789abcdef"
    assert [(tag.key, tag.value) for tag in training.tags] == [("mlflow.data.context", "training")]
    assert json.loads(training.dataset.profile or "") == {"num_rows": 300, "sha256": DATA["fingerprint"]}
    features = json.loads(json.loads(training.dataset.schema or "")["mlflow_tensorspec"]["features"])
    assert features[0]["tensor-spec"]["shape"] == [-1, 28, 28, 1]


def test_a_part_of_unknown_shape_has_no_schema(tracker, uri):
    tracker.log_data([DataPart("rows", "test", "ab", 3)])
    (run,) = runs_of(uri).values()
    assert run.inputs.dataset_inputs[0].dataset.schema in (None, "")
