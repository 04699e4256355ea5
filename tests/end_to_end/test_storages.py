"""A search in a database: sqlite, servers of PostgreSQL and MariaDB, and Optuna's gRPC proxy.

As a script, this begins a trial in the storage at a URL and waits.
"""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import keras_tuner
import optuna
import pytest
import servers
from sqlalchemy import create_engine, text
from study_support import check_that_one_takes_each_trial
from support import script_environment
from tuner_support import complete_all

from kerastuna.search import OptunaOracle
from kerastuna.search.compat.optuna_attributes import change_study_attribute
from kerastuna.search.errors import StudyError
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.studies import delete_study, load_study

STORAGES = ("sqlite", "postgresql", "mariadb", "grpc")


@pytest.fixture(scope="module")
def grpc_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("proxy")
    with servers.grpc_proxy(f"sqlite:///{folder / 'studies.db'}", folder) as location:
        yield location


@pytest.fixture(params=STORAGES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a storage that can be used."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    return request.getfixturevalue("grpc_proxy" if request.param == "grpc" else request.param)


@pytest.fixture
def name(url: str) -> Iterator[str]:
    """Of a study, which is deleted at the end."""
    name = f"test-{os.getpid()}-{time.time_ns()}"
    yield name
    storage = open_storage(url)
    if name in optuna.get_all_study_names(storage):
        delete_study(storage, name, force=True)


def make(folder: Path, url: str, name: str) -> OptunaOracle:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("width", 4, 32, step=4)
    objective = keras_tuner.Objective("score", "max")
    oracle = OptunaOracle(
        objective, 4, seed=0, hyperparameters=hp, storage=url, study_name=name, sampler="random", pruner="none"
    )
    oracle._set_project_dir(folder, "project")
    oracle.verbose = 0
    return oracle


def run(oracle: OptunaOracle) -> list[dict[str, object]]:
    return complete_all(oracle, lambda values: 2 * values["rate"], epochs=2)


def test_a_search_is_kept_and_read_by_another(tmp_path: Path, url: str, name: str) -> None:
    values = run(make(tmp_path, url, name))
    assert len(values) == 4
    study = load_study(open_storage(url), name)
    assert [trial.params["rate"] for trial in study.trials] == pytest.approx([value["rate"] for value in values])
    assert [trial.value for trial in study.trials] == [2 * trial.params["rate"] for trial in study.trials]
    assert [trial.intermediate_values for trial in study.trials] == [
        {1: trial.params["rate"], 2: 2 * trial.params["rate"]} for trial in study.trials
    ]
    assert run(make(tmp_path, url, name)) == []


def test_a_process_that_is_killed_is_noticed_and_its_trial_tried_again(tmp_path: Path, url: str, name: str) -> None:
    with subprocess.Popen(
        [sys.executable, __file__, str(tmp_path), url, name],
        env=script_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        begun = process.stdout.readline().strip()
        process.kill()
    assert begun, "it began no trial"
    values = run(make(tmp_path, url, name))
    assert str(values[0]["rate"]) == begun
    states = [
        (trial.state.name, trial.user_attrs.get("reason")) for trial in load_study(open_storage(url), name).trials
    ]
    assert states == [("FAIL", "interrupted"), *[("COMPLETE", None)] * 4]


def test_long_texts_are_kept(tmp_path: Path, url: str, name: str) -> None:
    """MySQL's TEXT, which Optuna would choose, ends at 65,535 bytes."""
    oracle = make(tmp_path, url, name)
    trial = oracle.create_trial("tuner0")
    history = [{"epoch": epoch, "loss": 1 / epoch, "name": "ü" * 40} for epoch in range(1, 1001)]
    claim = oracle.claim_of(trial.trial_id)
    assert claim is not None
    claim.keep(history=history)
    study = load_study(open_storage(url), name)
    assert study.trials[0].user_attrs["history"] == history


def test_names_that_differ_in_case_or_accents_are_not_one(url: str, name: str) -> None:
    """To most servers of MySQL they are, and some do not know all letters."""
    storage = open_storage(url)
    names = [name, *(f"{name}{letter}" for letter in ("a", "A", "á", "ß", "ss", "日", "🎉"))]
    for each in names:
        study = optuna.create_study(storage=storage, study_name=each, load_if_exists=True)
        study.set_user_attr("of", each)
    found = {each.study_name: each.user_attrs for each in optuna.get_all_study_summaries(storage)}
    assert {each: found.get(each) for each in names} == {each: {"of": each} for each in names}
    trial = optuna.load_study(study_name=name, storage=storage).ask()
    values = {each: trial.suggest_float(each, 0, 1) for each in ("width", "Width", "breite 🎉", "bréite 🎉")}
    found_trial = optuna.load_study(study_name=name, storage=open_storage(url)).trials[0]
    assert found_trial.params == values  # to the last bit
    for each in names[1:]:
        delete_study(storage, each)


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_of_many_who_take_a_trial_at_once_one_gets_it(server: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(server)

    def note(study: optuna.Study, number: int) -> None:  # in a list that all of them add to
        change_study_attribute(study, "taken", lambda before: [*(before or []), number])

    check_that_one_takes_each_trial(lambda: open_storage(url, 60.0), note)
    assert sorted(optuna.load_study(study_name="s", storage=open_storage(url)).user_attrs["taken"]) == list(range(12))


def test_tables_that_take_two_names_for_one_are_told(mariadb: str) -> None:
    storage = open_storage(mariadb)
    with create_engine(mariadb).connect() as connection:  # as Optuna would have made them
        connection.execute(text("ALTER TABLE studies CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"))
    optuna.create_study(storage=storage, study_name="A")
    with pytest.raises(StudyError, match="take 'a' for 'A', which is another study: give another name, or an empty"):
        optuna.create_study(storage=storage, study_name="a", load_if_exists=True)
    assert optuna.create_study(storage=storage, study_name="A", load_if_exists=True).study_name == "A"


def test_a_text_that_is_too_long_for_the_server_is_told_at_once(mariadb: str) -> None:
    storage = open_storage(mariadb, 60.0)
    study = optuna.create_study(storage=storage)
    began = time.monotonic()
    with pytest.raises(
        StudyError, match=r"cannot keep a text of 17,000,0.. bytes: .* max_allowed_packet, which is 16,"
    ):
        study.set_user_attr("long", "a" * 17_000_000)
    assert time.monotonic() - began < 30
    study.set_user_attr("long", "a" * 8_000_000)


def test_several_processes_may_make_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    code = (
        "import sys, time\n"
        "from kerastuna.search.study.storage import open_storage\n"
        "import kerastuna.search.study.database\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "open_storage(sys.argv[1])"
    )
    begin = str(time.time() + 5)
    processes = [
        subprocess.Popen([sys.executable, "-c", code, url, begin], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert optuna.get_all_study_names(url) == []


def test_a_database_that_fails_in_the_middle_is_told_in_one_line(tmp_path: Path) -> None:
    oracle = make(tmp_path, f"sqlite:///{tmp_path / 'studies.db'}", "s")
    trial = oracle.create_trial("tuner0")
    claim = oracle.claim_of(trial.trial_id)
    assert claim is not None
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        database.execute("DROP TABLE trial_user_attributes")
    with pytest.raises(
        StudyError, match=r"studies.db' failed \(OperationalError: no such table.*\): what was"
    ) as caught:
        claim.keep(seconds=1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "module", "advice"),
    [
        ("mysql+pymysql://me:secret@localhost/db", "pymysql", "pip install pymysql"),
        ("mysql://me:secret@localhost/db", "MySQLdb", r"pip install pymysql, and begin the URL with mysql\+pymysql://"),
        ("postgresql+psycopg2://me:secret@localhost/db", "psycopg2", "pip install psycopg2-binary"),
        ("postgresql+psycopg://me:secret@localhost/db", "psycopg", r"pip install 'psycopg\[binary\]'"),
    ],
)
def test_a_missing_driver_is_told(url: str, module: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(StudyError, match=rf"me:\*\*\*@localhost/db' needs {module}, which is not installed: {advice}$"):
        open_storage(url)


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_wrong_password_is_told_without_it(server: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(server)
    scheme, _, rest = url.partition("://")
    user, host = rest.partition(":")[0], rest.rpartition("@")[2]
    with pytest.raises(
        StudyError, match=r"cannot be opened \(OperationalError: .*(authentication failed|denied)"
    ) as told:
        open_storage(f"{scheme}://{user}:no-such-password@{host}")
    assert "no-such-password" not in str(told.value)


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), *sys.argv[2:]).create_trial("tuner0").hyperparameters.values["rate"], flush=True)
    time.sleep(600)
