"""A study's attribute changed in one step, for which Optuna's storages have no public method.

Optuna reads and writes in two steps: of two processes that do so at once, one undoes what the other wrote.
tests/compat/test_optuna_attributes.py fails when an upgrade changes the private names that are used here.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from optuna import Study
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage

Change = Callable[[Any], Any]
"""From the value of an attribute, None where it is not there, to the new one. May be called several times."""

SETTLING_SECONDS = 0.3
"""After this time, what another process wrote at the same moment to a storage without a lock can be seen."""
LONGEST_PAUSE = 0.05
"""Seconds until a change is tried again that another process was faster with."""
_in_this_process = threading.Lock()


def change_study_attribute(study: Study, key: str, change: Change) -> Any:
    """`change_attribute` of the user attribute `key` of `study`, in its storage."""
    storage = study._storage
    if isinstance(storage, _CachedStorage):
        storage = storage._backend
    return change_attribute(storage, study._study_id, key, change)


def change_attribute(storage: BaseStorage, study_id: int, key: str, change: Change) -> Any:
    """Set a user attribute of a study to what `change` makes of it; returns what it is then.

    Nothing is written where `change` returns what it was given. Of several processes one is after the other: in journal
    files with a lock that can be acquired again, and in databases. Behind a proxy, and in other storages, the last one
    to write wins, and all of them learn it, unless one takes longer than `SETTLING_SECONDS` between its two steps.

    Raises KeyError, as Optuna does, where the study was deleted.
    """
    if (own := getattr(storage, "change_attribute", None)) is not None:  # it tells of its errors in its own way
        return own(study_id, key, change)
    if isinstance(storage, RDBStorage):
        return change_in_database(storage, study_id, key, change)
    if isinstance(storage, JournalStorage) and getattr(storage._backend, "lock_is_reentrant", False):
        return _change_in_journal(storage, study_id, key, change)
    with _in_this_process:
        old = storage.get_study_user_attrs(study_id).get(key)
        new = change(old)
        if new == old:
            return old
        storage.set_study_user_attr(study_id, key, new)
    if not isinstance(storage, InMemoryStorage):
        time.sleep(SETTLING_SECONDS)
    return storage.get_study_user_attrs(study_id)[key]


def _change_in_journal(storage: JournalStorage, study_id: int, key: str, change: Change) -> Any:
    from optuna.storages.journal._file import get_lock_file
    from optuna.storages.journal._storage import JournalOperation

    backend: Any = storage._backend
    with storage._thread_lock, get_lock_file(backend._lock):
        storage._sync_with_backend()
        old = storage._replay_result.get_study(study_id).user_attrs.get(key)
        new = change(old)
        if new != old:
            line = {"worker_id": storage._replay_result.worker_id, "study_id": study_id, "user_attr": {key: new}}
            backend.append_logs([{"op_code": JournalOperation.SET_STUDY_USER_ATTR, **line}])
            storage._sync_with_backend()
    return new


def change_in_database(storage: RDBStorage, study_id: int, key: str, change: Change) -> Any:
    """`change_attribute` in a database. That the value is the old one is part of the statement that changes it."""
    from optuna.storages._rdb.models import StudyModel
    from optuna.storages._rdb.models import StudyUserAttributeModel as Model
    from optuna.storages._rdb.storage import _create_scoped_session
    from sqlalchemy import insert, select, update
    from sqlalchemy.exc import IntegrityError

    own = (Model.study_id == study_id) & (Model.key == key)
    while True:
        # Read and write are two transactions: SQLite refuses at once to write in one that began as another wrote.
        with _create_scoped_session(storage.scoped_session) as session:
            StudyModel.find_or_raise_by_id(study_id, session)
            text = session.execute(select(Model.value_json).where(own)).scalar_one_or_none()
        old = None if text is None else json.loads(text)
        new = change(old)
        if new == old:
            return old
        given = {"value_json": json.dumps(new)}
        statement: Any = insert(Model).values(study_id=study_id, key=key, **given)
        if text is not None:
            statement = update(Model).where(own & (Model.value_json == text)).values(**given)
        try:
            with _create_scoped_session(storage.scoped_session) as session:
                done: Any = session.execute(statement, execution_options={"synchronize_session": False})
                if text is None or done.rowcount == 1:  # of an insertion, PostgreSQL's driver tells no number
                    return new
        except IntegrityError:
            pass  # another process was the first to set it
        time.sleep(random.Random().uniform(0, LONGEST_PAUSE))
