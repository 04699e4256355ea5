"""The registry: the alias passes by the confirmed validation mean alone."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import keras
import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.models import get_model_info

from kerastuna.search.study.study_id import StudyId
from kerastuna.search.tracking import registry
from kerastuna.search.tracking.registry import register_champion, registered_name
from kerastuna.search.tracking.store import default_tracking_uri
from kerastuna.search.tracking.tracker import Tracker
from kerastuna.spaces.errors import InputError


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    folder = tmp_path_factory.mktemp("registry")
    tracker = Tracker(
        default_tracking_uri(folder), "registry", artifact_root=folder / "artifacts", warn=lambda line: None
    )
    tracker.start_study("digits", {}, {})
    return tracker


def _register(
    tracker: Tracker,
    folder: Path,
    confirmed: float,
    weight: float,
    rank: Any = None,
    registration: str = "",
    name: str = "",
    warn: Any = pytest.fail,
):
    initializer: Any = keras.initializers.Constant(weight)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer=initializer)])
    (folder / "MODEL_CARD.md").write_text("a card")
    return register_champion(
        tracker.tracking_uri,
        tracker.experiment_id,
        tracker.run_id,
        name=name or ("digits-max" if rank is None else "digits-ranked"),
        model=model,
        input_shape=(2,),
        rank=(-confirmed,) if rank is None else rank,
        confirmed=confirmed,
        params={"units": 1},
        metrics={"test_mean": 1 - confirmed},  # the worse on validation the better on test
        tags={"kerastuna.study": "digits"},
        artifacts=folder,
        registration=registration or uuid4().hex,
        warn=warn,
    )


def _weight(tracker: Tracker, name: str) -> float:
    """The weight of the model that holds the alias, as a user loads it."""
    mlflow.set_tracking_uri(tracker.tracking_uri)
    return float(mlflow.keras.load_model(f"models:/{name}@champion").get_weights()[0][0, 0])  # pyright: ignore


@keras.saving.register_keras_serializable("registry")
class Own(keras.Model):
    """Of the user's own class: it has no `input_shape`."""

    def __init__(self, units: int, **given: Any) -> None:
        super().__init__(**given)
        self.units, self.dense = units, keras.layers.Dense(units)

    def build(self, input_shape: Any) -> None:
        self.dense.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


def test_a_model_of_the_users_own_class_is_registered_with_its_shapes(tracker: Tracker, tmp_path: Path):
    model = Own(2)
    model.build((None, 3))
    (tmp_path / "MODEL_CARD.md").write_text("a card")
    registered = register_champion(
        tracker.tracking_uri,
        tracker.experiment_id,
        tracker.run_id,
        name="own",
        model=model,
        input_shape=(3,),
        rank=(0.0,),
        confirmed=0.9,
        params={},
        metrics={},
        tags={},
        artifacts=tmp_path,
        registration="own",
        warn=pytest.fail,
    )
    mlflow.set_tracking_uri(tracker.tracking_uri)
    signature: Any = get_model_info(registered.uri).signature
    assert signature.inputs.inputs[0].shape == (-1, 3)
    assert signature.outputs.inputs[0].shape == (-1, 2)
    loaded: Any = mlflow.keras.load_model(registered.uri)  # pyright: ignore
    assert loaded.get_weights()[0].tolist() == model.get_weights()[0].tolist()


def test_the_alias_passes_by_validation_only(tracker: Tracker, tmp_path: Path):
    first = _register(tracker, tmp_path, 0.90, weight=1.0)
    assert (first.uri, first.version, first.is_champion) == ("models:/digits-max@champion", 1, True)
    worse = _register(tracker, tmp_path, 0.85, weight=2.0)
    assert (worse.uri, worse.is_champion) == ("models:/digits-max/2", False)
    assert _weight(tracker, "digits-max") == 1.0
    equal = _register(tracker, tmp_path, 0.90, weight=3.0)
    assert not equal.is_champion
    better = _register(tracker, tmp_path, 0.91, weight=4.0)
    assert better.is_champion
    assert _weight(tracker, "digits-max") == 4.0
    client = MlflowClient(tracker.tracking_uri)
    assert len(client.search_model_versions("name='digits-max'")) == 4  # the earlier ones stay
    run = client.get_run(better.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_mean"] == pytest.approx(0.09)
    assert [file.path for file in client.list_artifacts(better.run_id)] == ["MODEL_CARD.md"]


def test_the_smallest_rank_holds_the_alias_whatever_the_mean(tracker: Tracker, tmp_path: Path):
    _register(tracker, tmp_path, 0.95, weight=1.0, rank=(0.0, 10_000.0))
    assert not _register(tracker, tmp_path, 0.99, weight=2.0, rank=(1.0, 0.01)).is_champion
    assert not _register(tracker, tmp_path, 0.99, weight=2.0, rank=(0.0, 10_000.0)).is_champion
    assert _register(tracker, tmp_path, 0.94, weight=3.0, rank=(0.0, 9_000.0)).is_champion


def test_a_store_that_cannot_be_used_is_one_line(tracker: Tracker, tmp_path: Path):
    (tmp_path / "a file").touch()
    with pytest.raises(InputError, match=r"the tracking URI .* names a file that cannot be written") as refused:
        register_champion(
            f"sqlite:///{tmp_path}/a file/mlflow.db",
            tracker.experiment_id,
            tracker.run_id,
            name="digits",
            model=keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
            input_shape=(2,),
            rank=(0.0,),
            confirmed=0.9,
            params={},
            metrics={},
            tags={},
            artifacts=tmp_path,
            registration="none",
            warn=pytest.fail,
        )
    assert len(str(refused.value).splitlines()) == 1


class Killed(BaseException):
    """Takes the place of SIGKILL: what follows in the process does not happen."""


def _killed(*given: Any, **named: Any) -> Any:
    raise Killed


def _champions(tracker: Tracker, registration: str) -> list[Any]:
    client = MlflowClient(tracker.tracking_uri)
    return client.search_runs([tracker.experiment_id], f"tags.`kerastuna.registration` = '{registration}'")


@pytest.mark.parametrize("when", ["set_model_version_tag", "set_registered_model_alias", "set_terminated"])
def test_a_registration_that_was_killed_is_completed_and_not_done_twice(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    better = {"set_model_version_tag": 0.997, "set_registered_model_alias": 0.998, "set_terminated": 0.999}[when]
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", lambda *given: None)
        patch.setattr(MlflowClient, when, _killed)
        with pytest.raises(Killed):
            _register(tracker, tmp_path, better, weight=5.0, registration=when)
    versions = len(MlflowClient(tracker.tracking_uri).search_model_versions("name='digits-max'"))
    again = _register(tracker, tmp_path, better, weight=5.0, registration=when)
    assert again.is_champion
    assert again.version == versions
    (run,) = _champions(tracker, when)
    assert (run.info.run_id, run.info.status) == (again.run_id, "FINISHED")
    assert _register(tracker, tmp_path, better, weight=5.0, registration=when) == again


def test_the_registry_is_that_of_the_tracking_uri_also_within_a_run_of_the_user(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/other.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/users.db")
    with mlflow.start_run() as own:
        registered = _register(tracker, tmp_path, 0.1, weight=1.0, rank=(9.0,))
        active = mlflow.active_run()
    assert active is not None
    assert active.info.run_id == own.info.run_id
    version = MlflowClient(tracker.tracking_uri, tracker.tracking_uri).get_model_version(
        "digits-ranked", str(registered.version)
    )
    assert version.run_id == registered.run_id


def test_a_run_that_a_kill_left_without_a_version_is_ended(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", lambda *given: None)
        patch.setattr(registry, "_log_and_register", _killed)
        with pytest.raises(Killed):
            _register(tracker, tmp_path, 0.5, weight=6.0, registration="without")
    (left,) = _champions(tracker, "without")
    assert left.info.status == "RUNNING"
    registered = _register(tracker, tmp_path, 0.5, weight=6.0, registration="without")
    assert {run.info.run_id: run.info.status for run in _champions(tracker, "without")} == {
        left.info.run_id: "FAILED",
        registered.run_id: "FINISHED",
    }


def test_a_registered_model_belongs_to_a_study(tracker: Tracker):
    uri, client = tracker.tracking_uri, MlflowClient(tracker.tracking_uri)
    first, second, old = StudyId("a" * 32, True), StudyId("b" * 32, True), StudyId("c" * 32, False)
    client.create_registered_model("of-an-earlier-version")
    for _ in range(2):
        assert registered_name(uri, "new", None) == "new"
        assert registered_name(uri, "new", first) == "new"
        assert registered_name(uri, "new", second) == "new-bbbbbbbb"
        assert registered_name(uri, "of-an-earlier-version", first) == "of-an-earlier-version-aaaaaaaa"
        assert registered_name(uri, "of-an-earlier-version", old) == "of-an-earlier-version"


@pytest.mark.parametrize("tags", [{}, {"rank": "gold"}, {"rank": "7"}])
def test_the_alias_stays_on_a_version_of_the_users_own(tracker: Tracker, tmp_path: Path, tags: dict[str, str]):
    told: list[str] = []
    name = f"of the user {len(tags)}{tags.get('rank')}"
    _register(tracker, tmp_path, 0.9, weight=1.0, name=name)
    client = MlflowClient(tracker.tracking_uri, tracker.tracking_uri)
    own = client.create_model_version(name, tmp_path.as_uri(), tags=tags)
    client.set_registered_model_alias(name, "champion", str(own.version))
    better = _register(tracker, tmp_path, 0.99, weight=2.0, name=name, warn=told.append)
    assert (better.is_champion, better.uri) == (False, f"models:/{name}/3")
    assert client.get_model_version_by_alias(name, "champion").version == own.version
    assert told == [
        f"the alias champion of the registered model {name!r} is on version 2, which was not registered by kerastuna: "
        "it stays there, and the new version is 3"
    ]
