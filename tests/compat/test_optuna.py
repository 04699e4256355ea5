"""The private names of Optuna that are used still mean what they did."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import GridSampler, PartialFixedSampler, QMCSampler, RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages._rdb.models import BaseModel
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateTable
from study_support import check_that_one_takes_each_trial

from kerastuna.search.compat.optuna import (
    SobolPoint,
    delete_study_in_database,
    fixed_parameters,
    grid_values,
    share_distributions,
    suit_mysql,
    take_trial,
    wrapped_sampler,
)
from kerastuna.search.study.storage import open_storage

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def test_a_grid_tells_its_values() -> None:
    assert {name: list(values) for name, values in grid_values(GridSampler({"x": [1, 2]})).items()} == {"x": [1, 2]}


def test_a_partial_sampler_tells_what_it_wraps_and_fixes() -> None:
    inner = RandomSampler()
    sampler = PartialFixedSampler({"x": 1}, inner)
    assert wrapped_sampler(sampler) is inner
    assert fixed_parameters(sampler) == {"x": 1}


def test_the_points_are_those_of_optunas_own_sequence() -> None:
    pytest.importorskip("scipy")

    def points(sampler_of: Any) -> list[float]:
        study = optuna.create_study()
        for _ in range(2):  # from then on the sampler knows the space
            study.add_trial(_trial(0.5))
        values = []
        for number in range(4):
            study.sampler = sampler_of(number)
            trial = study.ask()
            values.append(trial.suggest_float("x", 0, 1))
            study.tell(trial, 0.0)
        return values

    own = QMCSampler(scramble=True, seed=3, warn_independent_sampling=False)
    assert points(lambda number: SobolPoint(3, number, 0)) == points(lambda number: own)
    assert points(lambda number: SobolPoint(3, 7, 0))[0] != points(lambda number: own)[0]


def _trial(x: float) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        value=0.0, params={"x": x}, distributions={"x": optuna.distributions.FloatDistribution(0, 1)}
    )


def test_tables_in_mysql_keep_all_and_nothing_changes_elsewhere() -> None:
    suit_mysql()
    suit_mysql()  # a second call changes nothing

    def made(table: str, dialect: Any) -> str:
        return str(CreateTable(BaseModel.metadata.tables[table]).compile(dialect=dialect))

    for dialect in (mysql.dialect(), mysql.dialect(is_mariadb=True)):
        assert "value_json MEDIUMTEXT" in made("trial_user_attributes", dialect)
        assert "datetime_start DATETIME(6)" in made("trials", dialect)
        assert "utf8mb4_bin" in made("studies", dialect)
    assert "value_json TEXT" in made("trial_user_attributes", sqlite.dialect())
    assert "datetime_start DATETIME," in made("trials", sqlite.dialect())


STORAGES: dict[str, Callable[[Path], BaseStorage]] = {
    "journal": lambda folder: open_storage(folder / "journal"),
    "database": lambda folder: open_storage(f"sqlite:///{folder}/ours.db"),
    "optuna's journal": lambda folder: JournalStorage(JournalFileBackend(str(folder / "plain"))),
    "optuna's database": lambda folder: RDBStorage(f"sqlite:///{folder}/plain.db"),
    "memory": lambda folder: InMemoryStorage(),
}


@pytest.mark.parametrize("kind", list(STORAGES))
def test_a_waiting_trial_is_taken_once_with_its_attributes(kind: str, tmp_path: Path) -> None:
    storage = STORAGES[kind](tmp_path)
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"n": 1}, user_attrs={"name": "a", "last_seen": 0})
    trial_id = study.trials[0]._trial_id
    assert take_trial(storage, trial_id, {"worker": {"pid": 1}, "last_seen": 2.5})
    if kind != "optuna's database":  # another program reads it as well
        assert not take_trial(STORAGES[kind](tmp_path) if kind != "memory" else storage, trial_id, {"worker": None})
    trial = study.trials[0]
    assert trial.state == TrialState.RUNNING
    assert trial.user_attrs == {"name": "a", "worker": {"pid": 1}, "last_seen": 2.5}
    assert trial.datetime_start is not None
    assert abs((datetime.now() - trial.datetime_start).total_seconds()) < 60
    optuna.load_study(study_name=study.study_name, storage=storage).tell(0, 1.0)
    if kind in ("journal", "database"):
        assert not take_trial(storage, trial_id, {"worker": None})
    assert study.trials[0].user_attrs["worker"] == {"pid": 1}


@pytest.mark.parametrize("kind", ["journal", "database", "optuna's database"])
def test_of_many_who_take_a_trial_at_once_one_gets_it(kind: str, tmp_path: Path) -> None:
    """Optuna's own sqlite storage gives it to several."""
    check_that_one_takes_each_trial(lambda: STORAGES[kind](tmp_path))


def test_a_claim_that_a_full_disk_tears_leaves_the_trial_waiting(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    study = optuna.create_study(storage=open_storage(path), study_name="s")
    study.enqueue_trial({"n": 1})
    before = path.read_bytes()
    assert take_trial(open_storage(path), 0, {"worker": {"pid": 1}, "last_seen": 2.5})
    claim = path.read_bytes()[len(before) :]
    assert claim.count(b"\n") == 3
    for end in range(len(claim)):
        path.write_bytes(before + claim[:end])
        trial = optuna.load_study(study_name="s", storage=open_storage(path)).trials[0]
        assert trial.state == TrialState.WAITING


def test_trials_of_a_journal_share_equal_distributions(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal")
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend(journal)), study_name="s")
    study.add_trials([_trial(0.1), _trial(0.2)])
    share_distributions()
    share_distributions()  # a second call changes nothing
    reopened = optuna.load_study(storage=JournalStorage(JournalFileBackend(journal)), study_name="s")
    first, second = (trial.distributions["x"] for trial in reopened.get_trials(deepcopy=False))
    assert first is second
    assert first == optuna.distributions.FloatDistribution(0, 1)


def test_a_study_is_deleted_with_its_rows_and_no_other(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    studies = [optuna.create_study(storage=storage, study_name=name) for name in ("one", "other")]
    for study in studies:
        study.ask().set_user_attr("key", 1)
    delete_study_in_database(storage, studies[0]._study_id)
    assert optuna.get_all_study_names(storage) == ["other"]
    assert [trial.user_attrs for trial in studies[1].trials] == [{"key": 1}]
    with pytest.raises(KeyError):
        delete_study_in_database(storage, studies[0]._study_id)
