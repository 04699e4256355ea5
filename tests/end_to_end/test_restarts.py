"""A database server that restarts, stops, or loses a connection at a commit: nothing is lost or done twice."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
import servers
from cutter import Cutter, cutter
from optuna.distributions import IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import make_url
from support import begin_kerastuna, write_slice

from kerastuna.search.compat.optuna_attributes import change_study_attribute
from kerastuna.search.errors import StudyError
from kerastuna.search.study.attributes import WORKER, is_trained
from kerastuna.search.study.liveness import claim_attributes
from kerastuna.search.study.storage import open_storage
from kerastuna.search.study.stored_study import StoredStudy
from kerastuna.search.study.studies import load_study

SEARCH = (
    *("search", "--data", "slice.npz", "--images", "200", "--epochs", "2", "--budget", "2000", "--device", "cpu"),
    *("--no-warm-start", "--workers", "2", "--no-confirm", "--study", "s"),
)


KINDS = (servers.PostgreSQL, servers.MariaDB)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    with servers.or_skip(), servers.restartable(request.param) as server:
        yield server


def trials_in(storage: BaseStorage) -> list[FrozenTrial]:
    return load_study(storage, "s").trials


def trials(url: str) -> list[FrozenTrial]:
    with suppress(KeyError, StudyError):
        return load_study(open_storage(url, 60.0), "s").trials
    return []


def test_a_search_of_two_workers_goes_on_when_the_server_is_back(server: servers.Server, tmp_path: Path) -> None:
    write_slice(tmp_path / "slice.npz", 400, 100)

    def wait_for(trained: int) -> None:
        while sum(map(is_trained, trials(server.url))) < trained:
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)

    is_short = isinstance(server, servers.MariaDB)  # one of the two servers may take long
    wanted = 4 if is_short else 6
    with begin_kerastuna(tmp_path, *SEARCH, "--trials", str(wanted), "--storage", server.url) as process:
        wait_for(1)
        server.stop(server.crash)
        if not is_short:
            server.start()
            wait_for(2)
            server.stop(server.crash)
        time.sleep(6)
        server.start()
        wait_for(2 if is_short else 4)
        server.stop()
        time.sleep(1)
        server.start()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert err.count("the storage of the study does not answer (") >= 1, err
    assert err.count("waiting for up to 5 min\n") == err.count("nothing is lost, going on\n")
    found = trials(server.url)
    trained = [json.dumps(trial.user_attrs["hyperparameters"], sort_keys=True) for trial in found if is_trained(trial)]
    assert (len(trained), len(set(trained))) == (wanted, wanted)
    assert not [trial.number for trial in found if trial.state in (TrialState.RUNNING, TrialState.FAIL)]


def running(storage: BaseStorage) -> tuple[StoredStudy, int]:
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize", load_if_exists=True)
    stored = StoredStudy(study, storage)
    return stored, stored.add(create_trial(state=TrialState.RUNNING, user_attrs=claim_attributes()))


def make(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    cut()
    optuna.create_study(storage=storage, study_name="s", direction="maximize", load_if_exists=True)
    return lambda storage: optuna.get_all_study_names(storage) == ["s"]


def add(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, _ = running(storage)
    cut()
    assert stored.add(create_trial(state=TrialState.RUNNING, user_attrs={"which": "second"})) == 1
    return lambda storage: [trial.user_attrs.get("which") for trial in trials_in(storage)] == [None, "second"]


def add_by_optuna(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, _ = running(storage)
    cut()
    stored.study.enqueue_trial({"n": 1})
    return lambda storage: [trial.number for trial in trials_in(storage)] == [0, 1]


def take(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, _ = running(storage)
    stored.study.enqueue_trial({"n": 1})
    waiting, mine = stored.trials()[1], claim_attributes()
    take_trial: Any = storage.take_trial  # type: ignore[attr-defined]
    cut()
    assert take_trial(waiting._trial_id, mine)
    assert not take_trial(waiting._trial_id, claim_attributes()), "nobody takes it again"
    return lambda storage: trials_in(storage)[1].user_attrs == mine


def end(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, number = running(storage)
    trial_id = stored.trial_id(number)
    cut()
    assert storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
    with pytest.raises(UpdateFinishedTrialError):  # which is a mistake, and no repetition
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
    return lambda storage: [trial.values for trial in trials_in(storage)] == [[0.5]]


def put_back(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, number = running(storage)
    trial_id = stored.trial_id(number)
    cut(skip=1)  # it reads the trial first
    assert storage.set_trial_state_values(trial_id, TrialState.WAITING)
    return lambda storage: [trial.state for trial in trials_in(storage)] == [TrialState.WAITING]


def report(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, number = running(storage)
    trial_id = stored.trial_id(number)
    cut()
    storage.set_trial_intermediate_value(trial_id, 1, 0.25)
    return lambda storage: [trial.intermediate_values for trial in trials_in(storage)] == [{1: 0.25}]


def name(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, number = running(storage)
    trial_id = stored.trial_id(number)
    cut()
    storage.set_trial_user_attr(trial_id, "name", "eip_1")
    return lambda storage: trials_in(storage)[0].user_attrs["name"] == "eip_1"


def suggest(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    stored, number = running(storage)
    trial_id = stored.trial_id(number)
    cut()
    storage.set_trial_param(trial_id, "n", 3.0, IntDistribution(0, 9))
    return lambda storage: trials_in(storage)[0].params == {"n": 3}


def delete(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    cut()
    storage.delete_study(study_id)
    return lambda storage: optuna.get_all_study_names(storage) == []


def extend(storage: BaseStorage, cut: Callable[..., None]) -> Callable[[BaseStorage], Any]:
    study = optuna.create_study(storage=storage, study_name="s")
    study.set_user_attr("openings", [["first", 0.5]])
    cut(skip=1)  # it reads the attribute first
    written = change_study_attribute(study, "openings", lambda before: [*before, ("second", 0.25)])
    assert len(written) == 2
    both = {"openings": [["first", 0.5], ["second", 0.25]]}
    return lambda storage: optuna.load_study(study_name="s", storage=storage).user_attrs == both


OPERATIONS = (make, add, add_by_optuna, take, end, put_back, report, name, suggest, delete, extend)


@pytest.fixture
def database(kind: str, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of that kind."""
    return request.getfixturevalue(kind)


@pytest.fixture
def cut_server(database: str) -> Iterator[tuple[Cutter, str]]:
    """A cutter before the server, and the URL of the database through it."""
    url = make_url(database)
    with cutter(str(url.host), int(url.port or 0)) as server:
        yield server, url.set(port=server.port).render_as_string(hide_password=False)


@pytest.mark.parametrize(("kind", "when"), [("postgresql", "after"), ("postgresql", "before"), ("mariadb", "after")])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__)
def test_an_operation_whose_commit_is_not_answered_happens_once(
    operation: Callable[..., Any], when: str, cut_server: tuple[Cutter, str], database: str
) -> None:
    server, url = cut_server
    storage = open_storage(url, 30.0)
    check = operation(storage, lambda skip=0: server.cut_commit(when, skip))
    assert server.cuts == 1
    assert check(open_storage(database))


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_trial_that_was_put_back_and_taken_by_another_is_left_to_it(
    cut_server: tuple[Cutter, str], database: str
) -> None:
    server, url = cut_server
    storage, other = open_storage(url, 30.0), open_storage(database)
    stored, number = running(storage)
    trial_id = stored.trial_id(number)
    theirs = {**claim_attributes(), WORKER: {"host": "elsewhere"}}
    server.cut_commit("after", 1)
    server.on_cut = lambda: other.take_trial(trial_id, theirs)  # type: ignore[attr-defined]
    assert storage.set_trial_state_values(trial_id, TrialState.WAITING)
    trial = other.get_trial(trial_id)
    assert (trial.state, trial.user_attrs[WORKER]) == (TrialState.RUNNING, {"host": "elsewhere"})


def test_a_server_that_does_not_come_back_is_told_in_one_line_and_not_waited_for_again(
    server: servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_storage(server.url, 2.0)
    stored, number = running(storage)
    server.stop()
    began = time.monotonic()
    with pytest.raises(
        StudyError, match=r"failed \(OperationalError: .*what was stored is kept; see to the data"
    ) as told:
        stored.trial(number)
    assert 2 <= time.monotonic() - began < 30
    assert "\n" not in str(told.value)
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "the storage of the study does not answer"
    ]
    began = time.monotonic()
    with pytest.raises(StudyError, match="failed"):
        stored.keep(number, name="late")
    assert time.monotonic() - began < 2  # it would wait as long as before
    server.start()
    stored.keep(number, name="in time")
    assert stored.trial(number).user_attrs["name"] == "in time"
    assert "answers again" in caplog.records[-1].message
