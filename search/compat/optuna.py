"""Private names of Optuna that have no public replacement.

Each function and class gives its reason. tests/compat/test_optuna.py fails when an upgrade changes what they use.
"""

import functools
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, final

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GridSampler, PartialFixedSampler, QMCSampler, RandomSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, _storage
from optuna.trial import TrialState


def grid_values(sampler: GridSampler) -> Mapping[str, Sequence[Any]]:
    """The values of every parameter of a `GridSampler`, which it takes as an argument and does not show again."""
    return sampler._search_space


def wrapped_sampler(sampler: PartialFixedSampler) -> BaseSampler:
    """The sampler that a `PartialFixedSampler` wraps, which it takes as an argument and does not show again."""
    return sampler._base_sampler


def fixed_parameters(sampler: PartialFixedSampler) -> Mapping[str, Any]:
    """The parameters that a `PartialFixedSampler` fixes, which it takes as an argument and does not show again."""
    return sampler._fixed_params


def suit_mysql() -> None:
    """Let the tables that Optuna makes in MySQL or MariaDB keep what they keep in other databases.

    Optuna gives no choice of the columns' types, and leaves the letters to the server. Its TEXT ends at 64 KiB, where a
    space or a history may be longer. Its DATETIME is in whole seconds. A server may not know all letters, and takes
    most names that differ in case, or in accents, for one: two studies, or two hyperparameters.
    """
    from optuna.storages._rdb.models import BaseModel
    from sqlalchemy import DateTime, Text
    from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT

    wider: dict[type, Any] = {Text: MEDIUMTEXT(), DateTime: DATETIME(fsp=6)}
    for table in BaseModel.metadata.tables.values():
        for dialect in ("mysql", "mariadb"):
            options: Any = table.dialect_options[dialect]
            options["charset"], options["collate"] = "utf8mb4", "utf8mb4_bin"
        for column in table.columns:
            if type(column.type) in wider and "mysql" not in column.type._variant_mapping:
                column.type = column.type.with_variant(wider[type(column.type)], "mysql", "mariadb")


def quiet_database() -> None:
    """Turn off what Optuna's database storage logs, with the statement that failed; the same errors are raised, too."""
    logging.getLogger("optuna.storages._rdb.storage").setLevel(logging.ERROR)


def marked_trial(session: Any, study_id: int, key: str, mark: str) -> Any:
    """The trial, as Optuna's database storage has it, whose system attribute `key` is `mark`; None where none is.

    It is asked for in the transaction that adds a trial, for which there is no public way.
    """
    from optuna.storages._rdb.models import TrialModel
    from optuna.storages._rdb.models import TrialSystemAttributeModel as Attribute

    query = session.query(TrialModel).join(Attribute, Attribute.trial_id == TrialModel.trial_id)
    is_marked = (Attribute.key == key) & (Attribute.value_json == json.dumps(mark))
    return query.filter(TrialModel.study_id == study_id).filter(is_marked).first()


def take_trial(storage: BaseStorage, trial_id: int, user_attrs: Mapping[str, Any]) -> bool:
    """Set a waiting trial to RUNNING with these user attributes, all at once; returns False when it is not waiting.

    Optuna does each by itself. A process that is killed in between would leave a running trial that belongs to nobody.
    Its sqlite storage also gives one trial to several processes at the same moment.

    A journal file needs a lock that the thread that holds it can acquire again. In storages that are neither that nor a
    database the attributes follow the state, as Optuna does it.
    """
    if (take := getattr(storage, "take_trial", None)) is not None:  # it tells of its errors in its own way
        return take(trial_id, user_attrs)
    if isinstance(storage, RDBStorage):
        return take_trial_in_database(storage, trial_id, user_attrs)
    if isinstance(storage, JournalStorage) and getattr(storage._backend, "lock_is_reentrant", False):
        return _take_in_journal(storage, trial_id, user_attrs)
    if not storage.set_trial_state_values(trial_id, TrialState.RUNNING):
        return False
    for key, value in user_attrs.items():
        storage.set_trial_user_attr(trial_id, key, value)
    return True


def _take_in_journal(storage: JournalStorage, trial_id: int, user_attrs: Mapping[str, Any]) -> bool:
    """The attributes come before the state: where a full disk tears the text, the trial is still waiting."""
    from optuna.storages.journal._file import get_lock_file
    from optuna.storages.journal._storage import JournalOperation

    backend: Any = storage._backend
    assert isinstance(backend, JournalFileBackend)
    with storage._thread_lock, get_lock_file(backend._lock):
        storage._sync_with_backend()
        if storage._replay_result.get_trial(trial_id).state != TrialState.WAITING:
            return False
        line = {"worker_id": storage._replay_result.worker_id, "trial_id": trial_id}
        attributes = [
            {"op_code": JournalOperation.SET_TRIAL_USER_ATTR, **line, "user_attr": {key: value}}
            for key, value in user_attrs.items()
        ]
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        state = {"state": TrialState.RUNNING, "values": None, "datetime_start": now}
        backend.append_logs([*attributes, {"op_code": JournalOperation.SET_TRIAL_STATE_VALUES, **line, **state}])
        storage._sync_with_backend()
    return True


def take_trial_in_database(storage: RDBStorage, trial_id: int, user_attrs: Mapping[str, Any]) -> bool:
    """One transaction. The condition is part of the change, so that only one process can make it."""
    from optuna.storages._rdb.models import TrialModel, TrialUserAttributeModel
    from optuna.storages._rdb.storage import _create_scoped_session
    from sqlalchemy import update

    waiting = (TrialModel.trial_id == trial_id) & (TrialModel.state == TrialState.WAITING)
    start = {"state": TrialState.RUNNING, "_datetime_start_utc": datetime.now(UTC).replace(tzinfo=None)}
    change = update(TrialModel).where(waiting).values(start)
    with _create_scoped_session(storage.scoped_session) as session:
        taken: Any = session.execute(change, execution_options={"synchronize_session": False})
        if taken.rowcount != 1:
            return False
        for key, value in user_attrs.items():
            storage._set_trial_attr_without_commit(session, TrialUserAttributeModel, trial_id, key, value)
    return True


def has_study(storage: JournalStorage, study_id: int) -> bool:
    """Whether a study was there when `storage` last read its journal. The public methods read it once more."""
    return study_id in storage._replay_result._studies


def share_distributions() -> None:
    """Let journals that are read from now on share the distributions that are equal.

    A journal holds those of every trial as texts. Optuna makes an object of each: a third of the time to read it.
    Distributions are never changed, but there is no public way to keep them.
    """
    reader: Any = _storage
    if not hasattr(reader.json_to_distribution, "cache_info"):
        reader.json_to_distribution = functools.lru_cache(maxsize=10_000)(reader.json_to_distribution)


@final
class SobolPoint(QMCSampler):
    """One point of a scrambled Sobol sequence.

    `QMCSampler` counts the points that it made in the study, and begins again in each process. There is no public way
    to choose the point.

    Args:
        seed: of the sequence.
        number: of the point, from 0.
        independent_seed: for parameters that are not part of the sequence.
    """

    def __init__(self, seed: int, number: int, independent_seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(
                scramble=True,
                seed=seed,
                independent_sampler=RandomSampler(seed=independent_seed),
                warn_independent_sampling=False,
            )
        self._number = number

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, Any]) -> int:
        return self._number


def delete_study_in_database(storage: RDBStorage, study_id: int) -> None:
    """Delete a study in one transaction, at whose beginning nobody can add rows to it any more.

    Optuna reads the rows that it deletes. Where a row is added meanwhile, it deletes nothing, and raises nothing.
    """
    from optuna.storages._rdb.models import StudyModel, TrialModel

    session = storage.scoped_session()  # of this thread: Optuna's deletion is in the same transaction
    try:
        session.query(StudyModel.study_id).filter(StudyModel.study_id == study_id).with_for_update().all()
        trials = session.query(TrialModel.trial_id).filter(TrialModel.study_id == study_id)
        trials.order_by(TrialModel.trial_id).with_for_update().all()
        RDBStorage.delete_study(storage, study_id)
    except BaseException:
        session.rollback()
        raise
