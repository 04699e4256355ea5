"""KerasTuner's own tuners, unchanged but for a clock around every trial.

In KerasTuner, a network over `max_model_size` is a failed trial: it is proposed, built and counted (only the parameters
that are trained), and after `max_consecutive_failed_trials` of them, 3 by default, the search ends with an error. A
network whose layers do not fit its input raises an error in `build`, and fails as well. A third of the random points of
`ConvNet` are within the budget, so what keeps these tuners alive is a `max_consecutive_failed_trials` that is never
reached. Failed trials count towards `max_trials`, which therefore is never reached either: the clock ends the search.
`max_retries_per_trial` stays 0, since a second attempt at the same network would fail again.

- BayesianOptimization keeps KerasTuner's `num_initial_points`: 81 complete trials, three for each hyperparameter. Until
  then its proposals are those of RandomSearch with the same seed. Fewer would not help it: its Gaussian process learns
  nothing from a failed trial, so after one it proposes the same network again, without an end, and each of these
  proposals takes 15 to 30 s on two cores (tried with 10 initial points).
- Hyperband: `max_epochs` is the epochs of a full training, so that no network trains longer than another contender's,
  and `hyperband_iterations` is so high that the clock ends the search: its epochs are those that fit in the seconds.
  Failed trials keep their places in a bracket, and a bracket goes on to its next round only once more than two thirds
  of its places are complete, so under this budget networks are seldom promoted.

With TensorFlow, every trial of KerasTuner 1.4.8 imports `tensorboard`, which TensorFlow 2.21 no longer brings: it is
part of the extra `bench`.
"""

from dataclasses import replace
from typing import Any

import keras
import keras_tuner

from kerastuna.search.study.seeds import derive_seed

from .clock import TimeUp, check_time
from .job import Job
from .measures import RUNNING, Proposal

NEVER = 10**9


class Watched(keras_tuner.Tuner):
    """A tuner that writes down how its trials end; the base of those below, before KerasTuner's own class."""

    job: Job
    ended: list[tuple[Any, Proposal]]
    _asked: float = 0.0

    def pre_create_trial(self) -> None:
        check_time(self.job.deadline)
        self._asked = self.job.now()

    def on_trial_end(self, trial: Any) -> None:
        super().on_trial_end(trial)
        kept: Any = self.oracle.get_trial(trial.trial_id)
        now = self.job.now()
        self.ended.append((kept, Proposal(outcome(kept), now, now - self._asked, kept.score)))


class WatchedRandomSearch(Watched, keras_tuner.RandomSearch):
    pass


class WatchedBayesianOptimization(Watched, keras_tuner.BayesianOptimization):
    pass


class WatchedHyperband(Watched, keras_tuner.Hyperband):
    pass


def outcome(trial: Any) -> str:
    """How a trial of KerasTuner ended; it keeps a failure as the text of its error."""
    if trial.status == "COMPLETED":
        return "complete"
    text = trial.message or ""
    if "Oversized model" in text:
        return "over_budget"
    return "infeasible" if "InfeasibleArchitecture" in text else "failed"


def random_search(job: Job) -> list[Proposal]:
    return _search(job, WatchedRandomSearch, max_trials=NEVER)


def bayesian_optimization(job: Job) -> list[Proposal]:
    return _search(job, WatchedBayesianOptimization, max_trials=NEVER)


def hyperband(job: Job) -> list[Proposal]:
    return _search(job, WatchedHyperband, max_epochs=job.epochs, hyperband_iterations=NEVER)


def _search(job: Job, kind: Any, **arguments: Any) -> list[Proposal]:
    keras.utils.set_random_seed(job.seed)
    tuner = kind(
        job.space,
        objective="val_accuracy",
        seed=derive_seed(job.seed, "keras_tuner"),  # it counts its seed up: those of neighbours try the same networks
        max_model_size=job.budget,
        max_consecutive_failed_trials=NEVER,
        directory=job.folder,
        project_name="peer",
        **arguments,
    )
    tuner.job, tuner.ended = job, []
    try:
        tuner.search(**job.fit_arguments(stops=True))
    except TimeUp:
        tuner.ended += [(trial, Proposal("failed", RUNNING)) for trial in tuner.oracle.ongoing_trials.values()]
    return [_with_params(job, trial, proposal) for trial, proposal in tuner.ended]


def _with_params(job: Job, trial: Any, proposal: Proposal) -> Proposal:
    if proposal.outcome != "complete":
        return proposal
    return replace(proposal, params=job.space.cost(trial.hyperparameters).params)
