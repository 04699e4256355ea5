"""Wall-clock time of a search, without the pauses between two searches on the same study."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import final

from optuna.trial import FrozenTrial

from ..study.attributes import LAST_SEEN, REASON
from ..study.reasons import INTERRUPTED
from .study_view import Point, StudyView

PAUSE = timedelta(minutes=1)
"""A longer time without a running trial is a pause between two searches."""


@final
@dataclass(frozen=True)
class SearchTime:
    """The time at which trials ended, for an axis.

    Attributes:
        of: gives the time of a point, in the unit of `label`.
        label: the label of the axis, with the unit.
    """

    of: Callable[[Point], float]
    label: str


def search_time(view: StudyView, points: Sequence[Point]) -> SearchTime:
    """Time since the start of the first trial, without pauses, in a unit that suits `points` (at least one)."""
    seconds, pauses = _search_clock(view.trials)
    last = max(seconds(point.trial) for point in points)
    unit, length = ("hours", 3600) if last > 7200 else ("minutes", 60) if last > 120 else ("seconds", 1)
    cut = f", {pauses} pause{'s' if pauses > 1 else ''} between searches cut out" if pauses else ""
    return SearchTime(lambda point: seconds(point.trial) / length, f"wall-clock time in {unit}{cut}")


def _search_clock(trials: Iterable[FrozenTrial]) -> tuple[Callable[[FrozenTrial], float], int]:
    """A function from a trial to the seconds until its end, without pauses; and the number of pauses."""
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
    """When a trial ended. If its worker died, that is when it was last seen: the recorded end is the next resume."""
    end = trial.datetime_complete
    assert end is not None
    if trial.user_attrs.get(REASON) == INTERRUPTED and LAST_SEEN in trial.user_attrs:
        end = min(end, datetime.fromtimestamp(trial.user_attrs[LAST_SEEN]))
    return end
