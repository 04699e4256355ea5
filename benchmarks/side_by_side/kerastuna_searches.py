"""Kerastuna through `OptunaTuner`, as a user writes it, without the reference networks, and without MLflow.

What became of the proposals is read from the study at the end, so that it does not matter which process trained.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from optuna.trial import FrozenTrial, TrialState

from kerastuna.search import OptunaTuner, SearchObserver
from kerastuna.search.study.attributes import REASON, SCORE
from kerastuna.search.study.events import TrialRecord
from kerastuna.search.study.reasons import RETRIED_REASONS

from .job import Job
from .measures import RUNNING, Proposal


@final
class RefusalClock(SearchObserver):
    """The seconds of every refusal, by the number of its trial, on the clock that `now` tells."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.seconds: dict[int, float] = {}
        self._began = 0.0

    def begin(self) -> None:
        """A proposal is asked for."""
        self._began = self._now()

    def proposal_refused(self, record: TrialRecord) -> None:
        """The refusal is stored, and the next proposal is asked for at once."""
        now = self._now()
        self.seconds[record["number"]] = now - self._began
        self._began = now


@final
class ClockedTuner(OptunaTuner):
    """Tells a clock whenever it asks for a trial."""

    clock: RefusalClock

    def pre_create_trial(self) -> None:
        self.clock.begin()


def one_worker(job: Job) -> list[Proposal]:
    """A search as it is by default."""
    return _search_alone(job, warm=False)


def warm_start(job: Job) -> list[Proposal]:
    """The same, beginning with the space's reference networks."""
    return _search_alone(job, warm=True)


def all_cores(job: Job) -> list[Proposal]:
    """A search in several processes. Its refusals are not timed: they are those of other processes."""
    return _search(job, OptunaTuner(job.space, "val_accuracy", None, **_arguments(job)), workers=job.workers)


def _search_alone(job: Job, *, warm: bool) -> list[Proposal]:
    clock = RefusalClock()
    tuner = ClockedTuner(job.space, "val_accuracy", None, **_arguments(job), observers=[clock])
    tuner.clock = clock
    for name, values in job.space.starting_points().items() if warm else ():
        tuner.enqueue(values, name)
    return _search(job, tuner, clock.seconds)


def _arguments(job: Job) -> dict[str, Any]:
    return {
        "budget": job.budget,
        "seed": job.seed,
        "tracking_uri": "",
        "directory": job.folder,
        "project_name": "kerastuna",
    }


def _search(
    job: Job, tuner: OptunaTuner, refusals: Mapping[int, float] | None = None, **arguments: Any
) -> list[Proposal]:
    deadline = time.monotonic() + job.deadline - time.time()
    tuner.search(**job.fit_arguments(stops=False), deadline=deadline, **arguments)
    return proposals_of(tuner.oracle.study.get_trials(deepcopy=False), job.began, refusals or {})


def proposals_of(trials: Sequence[FrozenTrial], began: float, refusals: Mapping[int, float]) -> list[Proposal]:
    """The trials of a study as proposals; `refusals` are the seconds of those that were refused, by number."""
    asked = (trial for trial in trials if trial.state != TrialState.WAITING)
    return [_proposal(trial, began, refusals.get(trial.number)) for trial in asked]


def _proposal(trial: FrozenTrial, began: float, seconds: float | None) -> Proposal:
    reason = trial.user_attrs.get(REASON)
    if trial.datetime_complete is None or reason in RETRIED_REASONS:
        return Proposal("failed", RUNNING)
    ended = trial.datetime_complete.timestamp() - began
    if trial.state == TrialState.COMPLETE:
        return Proposal("complete", ended, None, trial.user_attrs[SCORE], trial.user_attrs["params"])
    outcome = "failed" if trial.state == TrialState.FAIL else str(reason)
    return Proposal(outcome, ended, seconds, None, trial.user_attrs.get("params"))
