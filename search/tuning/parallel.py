"""A search by several workers on one study: what each of them does, and what it tells the process that started it."""

import logging
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self, final

import keras
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial

from ..display.progress import make_progress
from ..display.search_observer import ProgressObserver
from ..errors import InputError
from ..study.attributes import DIED, WORKER
from ..study.events import Announcer, SearchObserver
from ..study.liveness import fail_abandoned_trials, fail_trial, fail_trials_of, is_running_worker
from ..study.reasons import TRIAL_TIMEOUT
from ..study.records import full_record
from ..study.sharing import one_process_only
from ..study.stored_study import StoredStudy
from ..study.waiting import joining, outage
from ..training.device import gpus
from ..training.failures import too_long
from ..training.interruption import was_told_to_stop
from ..workers.plan import Workers, compilation_environment, environments
from ..workers.pool import WorkerPool
from ..workers.process import Channel
from ..workers.tasks import Identity, Pool

SECONDS_LEFT = "seconds_left"
"""What a worker asks when it begins: how long it may begin epochs."""

_logger = logging.getLogger(__name__)

MODULES = ("kerastuna.search.tuning.tuner",)
"""What a worker imports before its first task."""
HANG_SECONDS = 20.0
"""How long after the end of its time a trial may still run before its worker is ended."""

_observer: ContextVar[SearchObserver | None] = ContextVar("observer of a worker", default=None)


def worker_observer() -> SearchObserver | None:
    """Who is told of the steps of a search in a worker, in place of all others; None in every other process."""
    return _observer.get()


@final
class _Reports(SearchObserver):
    """Tells the process that started a worker of every step, and so its display, MLflow and the user's observers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def proposal_refused(self, record: Mapping[str, Any]) -> None:
        self._channel.tell("refused", dict(record))

    def trial_started(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._channel.ask("started", dict(record))

    def epoch_ended(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self._channel.tell("epoch_ended", number, epoch, dict(metrics))

    def batches_done(self, number: int, epoch: int, done: int, batches: int | None) -> None:
        self._channel.tell("batches_done", number, epoch, done, batches)

    def trial_ended(self, record: Mapping[str, Any]) -> None:
        self._channel.tell("ended", dict(record))


@final
@dataclass(frozen=True)
class WorkerSearch:
    """The task of a worker: the search of a tuner, made once more with the same arguments.

    Attributes:
        tuner: its class.
        made_with, options: the positional arguments and those by name that it was made with.
        fit, fit_options: those of `search`.
        settings: of Keras, as `keras_settings` tells them.
        has_deadline: whether no epoch is begun any more after some time: the process that gave the task knows how much
            is left.
        host: the machine that alone reaches the storage; None where all do.
    """

    tuner: type
    made_with: Sequence[Any]
    options: Mapping[str, Any]
    fit: Sequence[Any]
    fit_options: Mapping[str, Any]
    settings: tuple[str, str, Any]
    has_deadline: bool = False
    host: str | None = None

    def __call__(self, channel: Channel) -> None:
        if self.host not in (None, socket.gethostname()):  # its file would be another one here
            raise InputError(_only_on(f"{self.host!r}, and a worker runs on {socket.gethostname()!r}"))
        use_keras_settings(self.settings)
        # Each machine has clocks of its own.
        deadline = time.monotonic() + channel.ask(SECONDS_LEFT) if self.has_deadline else None
        token = _observer.set(_Reports(channel))

        def tell(answers: bool, text: str) -> None:
            channel.tell("storage", answers, text)

        try:
            with joining(), outage.told_by(tell, was_told_to_stop):
                self.tuner(*self.made_with, **self.options).search(*self.fit, deadline=deadline, **self.fit_options)
        finally:
            _observer.reset(token)


@final
class Relay:
    """Hands on what workers tell, and ends the trials of those that died, and of those that hang.

    Args:
        stored: the study.
        announcer: of the search in this process.
        trial_timeout: seconds that a trial may take; None for no limit. Its worker looks at it where it can.
    """

    def __init__(self, stored: StoredStudy, announcer: Announcer, trial_timeout: float | None = None) -> None:
        self._stored, self._announcer, self._trial_timeout = stored, announcer, trial_timeout
        self._running: dict[int, tuple[int, float]] = {}  # trials that run by all that is told -> task, and since when
        self._ended_here: set[int] = set()  # trials whose end was told for their workers

    def event(self, index: int, name: str, values: tuple[Any, ...]) -> Any:
        """Tell the observers of this process what a worker tells; returns the answer that it may wait for."""
        tell = {
            "refused": self._announcer.refused,
            "started": self._announcer.started,
            "epoch_ended": self._announcer.epoch_ended,
            "batches_done": self._announcer.batches_done,
            "ended": self._announcer.ended,
            "storage": outage.heard,
        }
        if name == "started":
            self._running[values[0]["number"]] = (index, time.monotonic())
        elif name == "ended":
            if values[0]["number"] in self._ended_here:  # what a dead worker told is read later than its death is seen
                return None
            self._running.pop(values[0]["number"], None)
        return tell[name](*values)

    def hangs(self, index: int) -> bool:
        """Whether the worker with this task is to be ended: its trial is long over its time. The trial fails first."""
        if self._trial_timeout is None:
            return False
        latest = time.monotonic() - self._trial_timeout - HANG_SECONDS
        late = [number for number, (task, since) in self._running.items() if task == index and since < latest]
        for number in late:
            # Before the worker is ended: another process that finds it dead would try the trial again.
            if not fail_trial(self._stored, number, TRIAL_TIMEOUT, too_long(self._trial_timeout)):
                return False  # its end is about to be told
            self._end(self._stored.trial(number))
        return bool(late)

    def bury(self, worker: Identity | None = None, *, was_ended: bool = False) -> bool:
        """Fail the trials of workers that are gone, which enqueues them again, and tell the observers.

        Another process may have failed them first: what they would have told is told here all the same.

        Args:
            worker: that is known to be dead, wherever it was.
            was_ended: whether workers were ended by this process: then no trial is to blame.

        Returns whether a trial was found that is to blame for it; see `study.retries`.
        """
        if worker is not None:
            fail_trials_of(self._stored, worker)
        fail_abandoned_trials(self._stored, was_ended=was_ended)
        blamed = False
        for number in sorted(self._running):
            trial = self._stored.trial(number)
            owner = trial.user_attrs.get(WORKER)
            is_gone = owner is not None and (owner == worker or is_running_worker(owner) is False)
            if trial.state.is_finished() and is_gone:
                blamed |= DIED in trial.user_attrs
                self._end(trial)
        return blamed

    def _end(self, trial: FrozenTrial) -> None:
        del self._running[trial.number]
        self._ended_here.add(trial.number)
        self._announcer.ended(full_record(trial))

    @property
    def is_file(self) -> bool:
        """Whether the storage is a file, which other machines do not reach."""
        storage = self._stored.storage
        return isinstance(storage, JournalStorage) or str(getattr(storage, "url", "")).startswith("sqlite")

    def check_storage(self, all_here: bool) -> None:
        """Raise InputError for a storage that workers cannot use; `all_here`: that all of them are on this machine."""
        if (told := one_process_only(self._stored.storage)) is not None:
            raise InputError(told)
        if self.is_file and not all_here:
            raise InputError(_only_on("this machine, and the workers are on several"))


def _only_on(where: str) -> str:
    return (
        f"the study is in a file on {where}: give a storage that all of them reach, such as "
        "--storage postgresql+psycopg://HOST/DATABASE"
    )


class MadeAgain:
    """A tuner that workers make again, each for itself: it remembers what it was made with."""

    made_with: tuple[Sequence[Any], Mapping[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        tuner = super().__new__(cls)
        tuner.made_with = (args, kwargs)
        return tuner


def search_with(
    workers: Workers | Pool[Any],
    tuner: MadeAgain,
    relay: Relay,
    trials: int | None,
    deadline: float | None,
    fit: Sequence[Any],
    fit_options: Mapping[str, Any],
) -> None:
    """Let workers search, each with a tuner of its own on the study of `tuner`, and wait for them.

    Args:
        workers: how many, or those that run already.
        tuner: whose class and arguments the others have too.
        relay: of its study.
        trials: that are left to do; None for no limit.
        deadline: of `search`.
        fit, fit_options: the arguments of `search`.

    Raises InputError for a number that is not allowed, something that cannot be pickled and a storage that cannot be
    shared, and whatever a search raises.
    """
    relay.check_storage(all_here=not isinstance(workers, Pool) or workers.is_here)
    made_with, options = tuner.made_with
    options = {name: value for name, value in options.items() if name != "observers"}  # they stay in this process
    host = socket.gethostname() if relay.is_file else None
    task = WorkerSearch(
        type(tuner),
        made_with,
        options,
        fit,
        fit_options,
        keras_settings(),
        has_deadline=deadline is not None,
        host=host,
    )

    def event(index: int, name: str, values: tuple[Any, ...]) -> Any:
        if name == SECONDS_LEFT and deadline is not None:
            return deadline - time.monotonic()
        return relay.event(index, name, values)

    with nullcontext(workers) if isinstance(workers, Pool) else worker_pool(workers, trials) as pool:
        tasks = len(pool) if trials is None else min(len(pool), trials)
        try:
            pool.run([task] * tasks, event, on_death=relay.bury, is_stuck=relay.hangs)
        except BaseException:
            relay.bury(was_ended=True)  # a worker that was interrupted at the moment of its claim may have left it
            raise


def worker_pool(workers: Workers, at_most: int | None = None) -> WorkerPool:
    """Workers for one search after the other: give them to `OptunaTuner.search` in a `with` block.

    Args:
        workers: how many, or "auto".
        at_most: the most that have something to do.

    Raises InputError for a number that is not allowed.
    """
    own = backend_environment()
    each = [{**environment, **own} for environment in environments(workers, gpus=gpus(), at_most=at_most)]
    return WorkerPool(each, modules=MODULES, warn=_logger.warning)


@contextmanager
def shown(verbose: Any, deadline: float | None) -> Iterator[list[SearchObserver]]:
    """The observers that show a search of workers, in place of what KerasTuner prints; none where it is to be quiet.

    Args:
        deadline: of the search, on the clock of `time.monotonic`.
    """
    if not verbose:
        yield []
        return
    with make_progress() as progress:
        yield [ProgressObserver(progress, "", None if deadline is None else deadline - time.monotonic())]


def keras_settings() -> tuple[str, str, Any]:
    """Keras's settings for the whole process, which another process would not have."""
    return keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().get_config()


def use_keras_settings(settings: tuple[str, str, Any]) -> None:
    """Set what `keras_settings` told in another process."""
    floatx, data_format, policy = settings
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(data_format)
    keras.config.set_dtype_policy(keras.dtype_policies.DTypePolicy(**policy))


def backend_environment() -> dict[str, str]:
    """The variables of the environment by which a worker has the backend of this process."""
    chosen = {"KERAS_BACKEND": keras.backend.backend()}
    if chosen["KERAS_BACKEND"] == "jax":
        import jax  # an extra

        if folder := jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
            chosen |= compilation_environment(folder)
    return chosen
