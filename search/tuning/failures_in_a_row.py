"""A search ends where its trials fail one after the other, for the same reason."""

from collections.abc import Mapping
from typing import Any, final

from ..errors import SearchFailed
from ..messages import cause_in, shortened
from ..study.events import SearchObserver
from ..study.reasons import FAILURES

MOST = 5
"""So many trials in a row that fail for the same reason end a search."""
_TOLD = {
    "error": "of an error",
    "build_error": "while their networks were built",
    "not_finite": "since a number became NaN or infinite",
    "out_of_memory": "since the memory did not suffice: give a smaller --budget, --max-ram or fewer --workers",
    "trial_timeout": "since they took too long: give a longer --trial-timeout",
    "process_died": "since their processes died",
}


@final
class FailedInARow(SearchFailed):
    """So many trials failed one after the other that the search ended."""


@final
class FailuresInARow(SearchObserver):
    """Raises FailedInARow at the end of the trial that is one too many; the search keeps all that was finished.

    The trials of all workers count, in the order in which they end. One that was interrupted counts for nothing. This
    observer is to be the last one, so that the others are told of the trial.
    """

    def __init__(self) -> None:
        self._reason, self._count = "", 0

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        """Count the trial; raises FailedInARow once for each row."""
        reason = record["reason"] if record["state"] == "FAIL" else ""
        if record["state"] == "FAIL" and reason not in FAILURES:
            return
        self._count = self._count + 1 if reason == self._reason else 1
        self._reason = reason
        if reason and self._count == MOST:
            last = f", the last, trial {record['number']}, at {_values(record['hyperparameters'])}"
            cause = f", with: {cause_in(record['message'])}" if record["message"] else ""
            raise FailedInARow(f"{MOST} trials in a row failed {_TOLD[reason]}{last}{cause}")


def _values(hyperparameters: Mapping[str, Any]) -> str:
    return shortened(", ".join(f"{name}={value!r}" for name, value in hyperparameters.items()), 200)
