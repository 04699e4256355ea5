"""The ledger of the test set: every opening is written down, and a second look has to be asked for."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, final

import optuna

from ..compat.optuna_attributes import change_study_attribute
from ..errors import DataError, InputError

Result = TypeVar("Result")

OPENINGS = "test_openings"
"""User attribute of a study: its openings of the test set, in order."""


@final
class OpenedBefore(InputError):
    """The test set was opened for this winner before."""


@final
@dataclass(frozen=True)
class Opening:
    """One opening of the test set, as the ledger stores it.

    Attributes:
        opening: its number in this study, from 1.
        time: UTC, ISO 8601.
        study, trial, purpose: for which winner, and what for.
    """

    opening: int
    time: str
    study: str
    trial: int
    purpose: str


def openings(study: optuna.Study) -> list[Opening]:
    """Every opening of the test set for this study, in order."""
    return [Opening(**entry) for entry in study.user_attrs.get(OPENINGS, [])]


def refuse_second_opening(study: optuna.Study, trial: int, again: bool) -> None:
    """Raises OpenedBefore when the test set was opened for this winner before, unless `again` is given."""
    before = [opening for opening in openings(study) if opening.trial == trial]
    if before and not again:
        raise OpenedBefore(
            f"the test set was opened for trial {trial} of study {study.study_name!r} before (opening "
            f"{before[-1].opening}, {before[-1].time}): each further look makes its figure less honest; give --again "
            "to look all the same"
        )


def open_test_set(study: optuna.Study, trial: int, purpose: str) -> Opening:
    """Write the opening down, before the test set is read: an interruption afterwards does not undo the look."""
    time = datetime.now(UTC).isoformat(timespec="seconds")

    def add(before: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        entries = before or []
        opening = Opening(len(entries) + 1, time, study.study_name, trial, purpose)
        return [*entries, asdict(opening)]

    return Opening(**change_study_attribute(study, OPENINGS, add)[-1])


def read_test_set(study: optuna.Study, trial: int, purpose: str, read: Callable[[], Result]) -> tuple[Opening, Result]:
    """Open the test set, and `read` it. If that raises DataError, nothing was seen, and the opening is taken back."""
    opening = open_test_set(study, trial, purpose)
    try:
        return opening, read()
    except DataError:
        nothing_seen = asdict(opening)
        change_study_attribute(study, OPENINGS, lambda before: [entry for entry in before if entry != nothing_seen])
        raise
