"""The private names of Optuna that are used still mean what they did."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import GridSampler, PartialFixedSampler, QMCSampler, RandomSampler
from optuna.storages import JournalStorage
from optuna.storages._rdb.models import BaseModel
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.dialects import mysql, sqlite

from kerastuna.search.compat.optuna import (
    SobolPoint,
    fixed_parameters,
    grid_values,
    share_distributions,
    widen_text_columns,
    wrapped_sampler,
)

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


def test_long_texts_fit_into_mysql_and_nothing_changes_elsewhere() -> None:
    widen_text_columns()
    widen_text_columns()  # a second call changes nothing
    columns = BaseModel.metadata.tables["trial_user_attributes"].columns
    kind: Any = columns["value_json"].type
    assert kind.compile(dialect=mysql.dialect()) == "MEDIUMTEXT"
    assert kind.compile(dialect=sqlite.dialect()) == "TEXT"


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
