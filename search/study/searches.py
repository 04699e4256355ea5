"""The searches of this process: each fails what an earlier one left running."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from .liveness import fail_trials_of, this_worker
from .stored_study import StoredStudy
from .study_id import id_of

_under_way: Counter[str] = Counter()
_lock = threading.Lock()


@contextmanager
def searched_here(stored: StoredStudy, claimed: Collection[int] = ()) -> Iterator[Callable[[], None]]:
    """Hold while this process searches the study, in the block.

    A running trial of this process is nobody's while no search of the study is under way here: its end could not be
    stored, on a full disk for one. The first search to begin fails it, which enqueues it again. The block is given what
    the last search calls at its end, to do the same.

    Args:
        stored: the study.
        claimed: numbers of trials that somebody holds all the same when the search begins.
    """
    known = id_of(stored.study.user_attrs)
    key = stored.study.study_name if known is None else known.id

    def fail_what_is_left() -> None:
        with _lock:
            if _under_way[key] == 1:
                fail_trials_of(stored, this_worker(), was_ended=True)

    with _lock:  # another search must not claim a trial meanwhile
        if not _under_way[key]:
            fail_trials_of(stored, this_worker(), but=claimed, was_ended=True)
        _under_way[key] += 1
    try:
        yield fail_what_is_left
    finally:
        with _lock:
            _under_way[key] -= 1
