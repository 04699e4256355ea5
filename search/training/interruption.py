"""Whether this process was told to stop.

A signal raises an exception wherever the process is at that moment. Python swallows it in some places, such as a
`__del__`, and TensorFlow may turn it into an error of its own. So the signal is noted too, and looked at before every
trial, after every epoch, and while workers are waited for.
"""

import threading
from typing import Any, NoReturn

_told = threading.Event()


def stop(number: int, frame: Any) -> NoReturn:
    """Note that this process was told to stop, and raise KeyboardInterrupt: a handler of signals."""
    _told.set()
    raise KeyboardInterrupt


def was_told_to_stop() -> bool:
    """Whether `stop` was called."""
    return _told.is_set()


def stop_if_told() -> None:
    """Raise KeyboardInterrupt when this process was told to stop."""
    if _told.is_set():
        raise KeyboardInterrupt


def forget() -> None:
    """Begin anew, as a new command in the same process."""
    _told.clear()
