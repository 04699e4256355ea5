"""Kerastuna through `OptunaTuner`, as a user writes it, without the reference networks, and without MLflow.

Everything is read from the study at the end, so that it does not matter which process trained.
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from kerastuna.search import OptunaTuner
from kerastuna.search.study.attributes import REASON, SCORE, is_rejection
from kerastuna.search.study.reasons import RETRIED_REASONS

from .job import Job
from .measures import RUNNING, Proposal
from .setting import cores


def one_worker(job: Job) -> list[Proposal]:
    """A search as it is by default."""
    return _search(job)


def all_cores(job: Job) -> list[Proposal]:
    """A search with a worker for each core."""
    return _search(job, workers=cores())


def warm_start(job: Job) -> list[Proposal]:
    """A search with one worker that begins with the space's reference networks."""
    return _search(job, warm=True)


def _search(job: Job, *, warm: bool = False, **arguments: Any) -> list[Proposal]:
    tuner = OptunaTuner(
        job.space,
        "val_accuracy",
        None,
        budget=job.budget,
        seed=job.seed,
        tracking_uri="",
        directory=job.folder,
        project_name="kerastuna",
    )
    for name, values in job.space.starting_points().items() if warm else ():
        tuner.enqueue(values, name)
    deadline = time.monotonic() + job.deadline - time.time()
    tuner.search(**job.fit_arguments(stops=False), deadline=deadline, **arguments)
    return proposals_of(tuner.oracle.study.get_trials(deepcopy=False), job.began, single=not arguments)


def proposals_of(trials: Sequence[FrozenTrial], began: float, *, single: bool) -> list[Proposal]:
    """The trials of a study as proposals.

    A refusal is stored in one step, at its end. So its seconds are those since the refusal before it, where the one
    follows the other without a trial between them, in a search with one worker.
    """
    asked = [trial for trial in trials if trial.state != TrialState.WAITING]
    before: dict[int, FrozenTrial] = {later.number: earlier for earlier, later in pairwise(asked)} if single else {}
    return [_proposal(trial, began, before.get(trial.number)) for trial in asked]


def _proposal(trial: FrozenTrial, began: float, before: FrozenTrial | None) -> Proposal:
    reason = trial.user_attrs.get(REASON)
    if trial.datetime_complete is None or reason in RETRIED_REASONS:
        return Proposal("failed", RUNNING)
    ended = trial.datetime_complete.timestamp()
    if trial.state == TrialState.COMPLETE:
        return Proposal("complete", ended - began, None, trial.user_attrs[SCORE], trial.user_attrs["params"])
    seconds = None
    if before is not None and before.datetime_complete is not None and is_rejection(before) and is_rejection(trial):
        seconds = ended - before.datetime_complete.timestamp()
    outcome = "failed" if trial.state == TrialState.FAIL else str(reason)
    return Proposal(outcome, ended - began, seconds, None, trial.user_attrs.get("params"))
