"""A storage on a server: its operations wait for a server that restarts, and tell of its errors in one line."""

import functools
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from optuna.storages import BaseStorage

from ..errors import StudyError
from .repeats import calls
from .waiting import until_answered

BY_NAME = ("get_study_id_from_name", "get_study_name_from_id", "create_new_study", "delete_study")
"""Operations for which it is no news that a study is not there."""


class PatientStorage(BaseStorage):
    """What the storages on servers share; `make_patient` prepares their operations.

    Attributes:
        patience: seconds to wait for the server in each operation.
    """

    patience: float = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        self._inside = threading.local()
        self._studies: dict[int, str] = {}
        super().__init__(*args, **options)

    def works_on(self, study_id: int, name: str) -> None:
        """From now on, every operation tells when this study is not there any more."""
        self._studies[study_id] = name

    @abstractmethod
    def lost(self, error: Exception) -> str | None:
        """Why an error is that of a lost connection, in a few words; None for every other error."""

    @abstractmethod
    def told(self, error: Exception) -> StudyError | None:
        """The error for the user; None for one that Optuna handles, or its callers."""

    def call(self, name: str, method: Callable[..., Any], args: Any, options: Mapping[str, Any]) -> Any:
        """Do an operation. One that is a part of another one is neither repeated nor told by itself."""
        if getattr(self._inside, "is_inside", False):
            return method(self, *args, **options)
        try:
            return self._answer(name, method, args, options)
        except KeyError as error:
            if name in BY_NAME or (gone := self._gone()) is None:
                raise
            raise deleted(gone) from error
        except Exception as error:
            if (told := self.told(error)) is None:
                raise
            raise told from error

    def _answer(self, name: str, method: Callable[..., Any], args: Any, options: Mapping[str, Any]) -> Any:
        self._inside.is_inside = True
        try:
            first, again = calls(name, method, self, args, options)
            return until_answered(first, again, lost=self.lost, patience=self.patience)
        finally:
            self._inside.is_inside = False

    def _gone(self) -> str | None:
        """The name of a study that was worked on and is not there any more."""
        for study_id, name in self._studies.items():
            try:
                found = self.get_study_name_from_id(study_id)
            except KeyError:
                return name
            if found != name:  # files of SQLite that are older give the number of a deleted study to the next one
                return name
        return None


def deleted(name: str) -> StudyError:
    """The error of a process whose study was deleted while it worked on it."""
    return StudyError(f"the study {name!r} was deleted while this search worked on it: nothing more is stored")


def make_patient(storage: type[PatientStorage], names: Mapping[str, Callable[..., Any]]) -> None:
    """Let these operations of a storage, given with Optuna's methods, go through `PatientStorage.call`."""
    for name, method in names.items():
        setattr(storage, name, _operation(name, vars(storage).get(name, method)))


def _operation(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: PatientStorage, *args: Any, **options: Any) -> Any:
        return self.call(name, method, args, options)

    return call
