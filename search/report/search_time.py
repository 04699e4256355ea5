"""The time axis of a search: the pauses between two searches on one study are left out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import final

from optuna.trial import FrozenTrial

from ..study.attributes import INTERRUPTED, LAST_SEEN, REASON
from .study_view import Point, StudyView

PAUSE = timedelta(minutes=1)
"""A longer time without any trial lies between two searches on one study."""


@final
@dataclass(frozen=True)
class SearchTime:
    """When trials ended, as an axis shows it.

    Attributes:
        of: the time of a point.
        label: of the axis, with the unit.
    """

    of: Callable[[Point], float]
    label: str


def search_time(view: StudyView, points: Sequence[Point]) -> SearchTime:
    """The time since the first trial began, less the pauses, in a unit that suits `points`."""
    seconds, pauses = _search_clock(view.trials)
    last = max(seconds(point.trial) for point in points)
    unit, length = ("hours", 3600) if last > 7200 else ("minutes", 60) if last > 120 else ("seconds", 1)
    cut = f", {pauses} pause{'s' if pauses > 1 else ''} between searches cut out" if pauses else ""
    return SearchTime(lambda point: seconds(point.trial) / length, f"wall-clock time in {unit}{cut}")


def _search_clock(trials: Iterable[FrozenTrial]) -> tuple[Callable[[FrozenTrial], float], int]:
    """The seconds from the first trial's beginning to the end of a trial, less the pauses; and how many those are."""
    spans = sorted((t.datetime_start, _end(t)) for t in trials if t.datetime_start and t.datetime_complete)
    first = busy_until = spans[0][0]
    pauses: list[tuple[datetime, timedelta]] = []
    for start, end in spans:
        if start - busy_until > PAUSE:
            pauses.append((start, start - busy_until))
        busy_until = max(busy_until, end)

    def seconds(trial: FrozenTrial) -> float:
        end = _end(trial)
        return (end - first - sum((length for at, length in pauses if at < end), timedelta())).total_seconds()

    return seconds, len(pauses)


def _end(trial: FrozenTrial) -> datetime:
    """When a trial ended; one whose worker died is told so only when its study is resumed, and ended when last seen."""
    end = trial.datetime_complete
    assert end is not None
    if trial.user_attrs.get(REASON) == INTERRUPTED and LAST_SEEN in trial.user_attrs:
        end = min(end, datetime.fromtimestamp(trial.user_attrs[LAST_SEEN]))
    return end
