"""One process confirms a study at a time: it claims this in the storage, and reports that it is alive."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, final

from ..compat.optuna_attributes import change_attribute
from ..errors import StudyError
from ..study.attributes import CONFIRMING
from ..study.heartbeat import HEARTBEAT_SECONDS
from ..study.liveness import Watch, this_worker
from ..study.stored_study import StoredStudy
from ..training.interruption import stop_if_told

POLL_SECONDS = 1.0
"""Between two looks at the claim of another process."""
_held: set[str] = set()
"""The tokens of the claims that this process has, or waits for."""


@final
class Claim:
    """The right to confirm a study.

    Args:
        stored: the study.
        command: that confirms it, as the user can type it.

    Attributes:
        waited: whether another process had it before.
    """

    def __init__(self, stored: StoredStudy, command: str) -> None:
        self._stored, self._command = stored, command
        self._number = stored.storage.get_study_id_from_name(stored.study.study_name)
        self._token = uuid.uuid4().hex
        self._ended = threading.Event()
        self.waited = False

    def check(self) -> None:
        """Raise StudyError when another process has taken this one for dead, and confirms."""
        held = self._stored.study.user_attrs.get(CONFIRMING)
        if held is None or held["token"] != self._token:
            raise StudyError(
                f"another process took over the confirmation of study {self._stored.study.study_name!r} while this one "
                f"stood still: run {self._command} to see its champion"
            )

    def take(self, tell: Callable[[str], None]) -> None:
        """Wait until no other process confirms, which is told once, and claim it."""
        _held.add(self._token)  # first: another thread may see the claim as soon as it is written
        watch = Watch()
        while True:
            stop_if_told()
            held = self._change(lambda old: self._content() if old is None or _is_dead(old, watch) else old)
            if held["token"] == self._token:
                break
            if not self.waited:
                self.waited, worker = True, held["worker"]
                tell(
                    f"process {worker['pid']} on {worker['host']} confirms study {self._stored.study.study_name!r} at "
                    "present: waiting for its champion"
                )
            time.sleep(POLL_SECONDS)
        threading.Thread(target=self._report, name="heartbeat of a confirmation", daemon=True).start()

    def give_back(self) -> None:
        """Let other processes confirm."""
        self._ended.set()
        _held.discard(self._token)
        with suppress(Exception):  # the storage is down, or the study was deleted: no claim of a dead process counts
            self._change(lambda old: None if old is not None and old["token"] == self._token else old)

    def _report(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with suppress(Exception):  # any storage may raise anything while it is down; the next report comes
                self._change(lambda old: {**old, "last_seen": time.time()} if self._is_own(old) else old)

    def _is_own(self, held: Mapping[str, Any] | None) -> bool:
        return held is not None and held["token"] == self._token and not self._ended.is_set()

    def _content(self) -> dict[str, Any]:
        return {"worker": this_worker(), "token": self._token, "last_seen": time.time()}

    def _change(self, change: Callable[[Any], Any]) -> Any:
        return change_attribute(self._stored.storage, self._number, CONFIRMING, change)


@contextmanager
def confirming(stored: StoredStudy, tell: Callable[[str], None], command: str) -> Iterator[Claim]:
    """Hold the right to confirm the study in the block; waits while another process has it, and is alive.

    Args:
        stored: the study.
        tell: receives a line when there is someone to wait for.
        command: that confirms the study, as the user can type it.
    """
    claim = Claim(stored, command)
    try:
        claim.take(tell)
        yield claim
    finally:
        claim.give_back()


def _is_dead(held: Mapping[str, Any], watch: Watch) -> bool:
    """Whether the process that has the claim is gone, or could not give it back."""
    if held["worker"] == this_worker():
        return held["token"] not in _held
    return watch.is_dead(held["token"], held["worker"], held["last_seen"])
