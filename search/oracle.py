"""`OptunaOracle`: KerasTuner's oracle on an Optuna study."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
from keras_tuner.engine import trial as kt_trial
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from .budget import Budget, Size
from .distributions import ParameterSpace, Values, values_key
from .errors import InputError
from .observer import SearchObserver
from .proposals import Claim, Infeasible, Proposer
from .records import HISTORY, SECONDS, finite_metrics, full_record, trial_record
from .samplers import derive_seed, pruner_for, sampler_for
from .study import (
    HYPERPARAMETERS,
    LAST_SEEN,
    REASON,
    STOPPED_EARLY,
    WORKER,
    bury_the_dead,
    is_trained,
    open_storage,
    open_study,
    retry,
    this_worker,
)

JOURNAL = "optuna.journal"
_NEXT = "next"  # the id of a trial that has no number yet
RETRIED_REASONS = ("interrupted", "timeout")


class OptunaOracle(keras_tuner.Oracle):
    """Proposes trials with an Optuna sampler, under a hard budget, and keeps them in an Optuna study.

    The study is the truth: several processes may share it, and a new process goes on with it. A proposal that is over
    the budget, infeasible or a duplicate is recorded in the study and never becomes a trial here.

    Args:
        objective, max_trials, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: as in `keras_tuner.Oracle`, but `max_trials` counts trained trials of the
            whole study, over all processes and resumes; refusals and failures do not count.
        seed: of the proposals and the training; drawn once and kept in the study when it is None.
        budget: the limits, a number of parameters, or None.
        sampler: a name (`kerastuna.search.samplers.SAMPLERS`) or an Optuna sampler.
        pruner: "halving", "hyperband", "median", "none", or an Optuna pruner.
        storage: an Optuna storage, a database URL, or a journal file's path. None: a journal in the project's folder.
        study_name: None for the project's name.
        infeasible: "hide" refused proposals from the sampler, or let it "learn" from them.
        identity: what else identifies the study, JSON-able; a study of the same name with another identity is refused.
        observers: told of every step.

    Raises InputError for an unknown sampler, pruner or budget, and StudyError (at the first proposal) for the storage.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        seed: int | None = None,
        budget: Budget | int | None = None,
        sampler: str | BaseSampler = "tpe",
        pruner: str | BasePruner = "halving",
        storage: str | Path | BaseStorage | None = None,
        study_name: str | None = None,
        infeasible: Infeasible = "hide",
        identity: Mapping[str, Any] | None = None,
        observers: Sequence[SearchObserver] = (),
        hyperparameters: keras_tuner.HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if infeasible not in ("hide", "learn"):
            raise InputError(f'infeasible={infeasible!r}: give "hide" or "learn"')
        sampler_for(sampler, 0)  # an unknown name is told at once
        pruner_for(pruner, None)
        self.budget = Budget(budget) if isinstance(budget, int) else budget
        self.measure: Callable[[keras_tuner.HyperParameters], Size | None] | None = None
        self.deadline: float | None = None
        self.observers = tuple(observers)
        self.identity = dict(identity or {})
        self.declared: list[dict[str, Any]] | None = None
        self._given_seed = seed
        self._sampler, self._pruner, self._infeasible = sampler, pruner, infeasible
        self._storage, self._study_name = storage, study_name
        self._study: optuna.Study | None = None
        self._proposer: Proposer | None = None
        self._space: ParameterSpace | None = None
        self._epochs: int | None = None
        self._claims: dict[str, Claim] = {}
        self._reasons: dict[str, str] = {}
        self._turn = threading.RLock()

    # The study

    @property
    def study(self) -> optuna.Study:
        """The Optuna study, opened or made at the first use; raises StudyError when that fails."""
        with self._turn:
            if self._study is None:
                self._open()
            assert self._study is not None
            return self._study

    def _open(self) -> None:
        folder = getattr(self, "_directory", None)
        if self._storage is None:
            self._storage = InMemoryStorage() if folder is None else Path(self._project_dir) / JOURNAL
        storage = open_storage(self._storage)
        study = open_study(
            storage,
            self._study_name or getattr(self, "_project_name", None) or "untitled_project",
            directions=["maximize" if self.objective.direction == "max" else "minimize"],
            identity={
                "objective": [self.objective.name, self.objective.direction],
                "budget": None if self.budget is None else self.budget.params,
                "seed": self._given_seed,
                **({} if self.declared is None else {"hyperparameters": self.declared}),
                **self.identity,
            },
            pruner=pruner_for(self._pruner, None),
            seed=self.seed,
        )
        if self._given_seed is None:
            self.seed = study.user_attrs.get("drawn_seed", self.seed)
            study.set_user_attr("drawn_seed", self.seed)
        else:
            self.seed = self._given_seed
        bury_the_dead(study)
        self._proposer = Proposer(
            study,
            sampler_for(self._sampler, self.seed),
            self.seed,
            budget=self.budget,
            measure=None if self.measure is None else self._measure_values,
            infeasible=self._infeasible,
            refused=self._tell_of_refusal,
        )
        self._study = study
        self._restore()

    def _restore(self) -> None:
        """Take the trained trials of the study, whoever trained them, into KerasTuner's own books."""
        for trial in self.study.get_trials(deepcopy=False):
            if is_trained(trial) and (trial_id := _trial_id(trial.number)) not in self.trials:
                self.trials[trial_id] = self._as_keras_tuner(trial)
                self.start_order.append(trial_id)
                self.end_order.append(trial_id)

    def _as_keras_tuner(self, trial: FrozenTrial) -> kt_trial.Trial:
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = dict(trial.user_attrs.get(HYPERPARAMETERS, trial.params))
        twin = kt_trial.Trial(hyperparameters, _trial_id(trial.number), kt_trial.TrialStatus.COMPLETED)
        twin.score = trial_record(trial)["value"]
        twin.best_step = max(0, max(trial.intermediate_values, default=1) - 1)
        if twin.score is not None:
            twin.metrics.register(self.objective.name, direction=self.objective.direction)
            twin.metrics.update(self.objective.name, twin.score, step=twin.best_step)
        return twin

    # Proposals

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next trial, by KerasTuner's protocol: {"status", "values"}."""
        claim = self._claim(trial_id)
        if claim is None:
            return {"status": kt_trial.TrialStatus.STOPPED}
        return {"status": kt_trial.TrialStatus.RUNNING, "values": dict(claim.values)}

    def create_trial(self, tuner_id: str) -> kt_trial.Trial:
        """The next trial for `tuner_id`, named after Optuna's number: "0007". STOPPED when there is none."""
        with self._turn:
            if tuner_id in self.ongoing_trials or self._retry_queue:
                return super().create_trial(tuner_id)
            self.tuner_ids.add(tuner_id)
            response = self.populate_space(_NEXT)
            claim = self._claims.pop(_NEXT, None)
            trial_id = _trial_id(len(self.trials) if claim is None else claim.number)
            hyperparameters = self.hyperparameters.copy()
            hyperparameters.values = response.get("values") or {}
            trial = kt_trial.Trial(hyperparameters, trial_id, response["status"])
            if trial.status != kt_trial.TrialStatus.RUNNING:
                self.tuner_ids.remove(tuner_id)
                return trial
            if claim is not None:
                self._claims[trial_id] = claim
                self._announce("trial_started", claim.number)
            self.trials[trial.trial_id] = self.ongoing_trials[tuner_id] = trial
            self.start_order.append(trial.trial_id)
            self._record_values(trial)
            self._save_trial(trial)
            self.save()
            self._display.on_trial_begin(trial)
            return trial

    def _claim(self, trial_id: str) -> Claim | None:
        with self._turn:
            study = self.study
            if self.deadline is not None and time.monotonic() >= self.deadline:
                return None
            assert self._proposer is not None
            claim = self._proposer.next(self.parameter_space, self.max_trials)
            if claim is not None:
                self._claims[trial_id] = claim
                study._storage.set_trial_user_attr(claim.storage_id, LAST_SEEN, time.time())
                study._storage.set_trial_user_attr(claim.storage_id, "seed", self.training_seed(claim.values))
            return claim

    @property
    def parameter_space(self) -> ParameterSpace:
        """The hyperparameters known by now, as Optuna sees them."""
        if self._space is None or len(self._space) != len(self.hyperparameters.space):
            self._space = ParameterSpace(self.hyperparameters.space)
        return self._space

    def training_seed(self, values: Values) -> int:
        """The seed a trial with these values is trained with: the same on every retry and resume."""
        return derive_seed(self.seed, "training", values_key(values))

    def enqueue(self, values: Values, name: str | None = None) -> None:
        """Let the next trial be the one with `values`; raises SpaceError when they are not in the space."""
        self.study.enqueue_trial(
            self.parameter_space.encode(values)[0], user_attrs={} if name is None else {"name": name}
        )

    def _measure_values(self, values: Values) -> Size | None:
        assert self.measure is not None
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = dict(values)
        return self.measure(hyperparameters)

    # What becomes of a trial

    def set_epochs(self, epochs: int | None) -> None:
        """How many epochs a full trial has, by which a pruner that was chosen by name places its rungs."""
        self._epochs = epochs
        self.study.pruner = pruner_for(self._pruner, epochs)

    def report(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Note the metrics of `epoch` (from 1) of a running trial; returns whether the pruner stops it here."""
        claim = self._claims[trial_id]
        storage = self.study._storage
        storage.set_trial_user_attr(claim.storage_id, LAST_SEEN, time.time())
        for observer in self.observers:
            observer.epoch_ended(claim.number, epoch, metrics)
        if not self.objective.has_value(metrics):
            return False
        value = float(self.objective.get_value(metrics))
        storage.set_trial_intermediate_value(claim.storage_id, epoch, value)
        # Past its half a trial is left to finish: a complete one is worth more than the epochs it would save.
        may_stop = self._epochs is None or 2 * epoch <= self._epochs
        if not (may_stop and self.study.pruner.prune(self.study, storage.get_trial(claim.storage_id))):
            return False
        self._reasons[trial_id] = STOPPED_EARLY
        return True

    def note(self, trial_id: str, *, reason: str | None = None, **attributes: Any) -> None:
        """Keep `attributes` with a running trial, and the `reason` for which it is going to fail."""
        if reason is not None:
            self._reasons[trial_id] = reason
        for key, value in attributes.items():
            self.study._storage.set_trial_user_attr(self._claims[trial_id].storage_id, key, value)

    def note_training(self, trial_id: str, history: Sequence[Mapping[str, float]]) -> None:
        """Keep the metrics of every epoch of a trial, and the seconds they took."""
        seconds = sum(epoch.get("seconds", 0.0) for epoch in history)
        self.note(trial_id, **{HISTORY: [finite_metrics(epoch) for epoch in history], SECONDS: round(seconds, 3)})

    def score_trial(self, trial: kt_trial.Trial) -> None:
        """The score is the objective at the last epoch: the best epoch would flatter."""
        last = trial.metrics.get_history(self.objective.name)[-1]
        trial.score, trial.best_step = last.mean(), last.step

    @keras_tuner.synchronized
    def end_trial(self, trial: kt_trial.Trial) -> None:
        """End or retry a trial, as in `keras_tuner.Oracle`, and tell the study."""
        try:
            super().end_trial(trial)
        finally:
            # The check for failures in a row may raise, and the study has to learn of this trial all the same.
            self._tell(self.trials[trial.trial_id])

    def abandon(self, trial_id: str, reason: str) -> None:
        """Fail a running trial that was interrupted. Its hyperparameters are enqueued, and come first on resuming."""
        claim = self._claims.pop(trial_id, None)
        if claim is None:
            return
        self.study._storage.set_trial_user_attr(claim.storage_id, REASON, reason)
        retry(self.study, self.study.tell(claim.number, state=TrialState.FAIL))
        self.trials.pop(trial_id, None)
        self.ongoing_trials = {key: trial for key, trial in self.ongoing_trials.items() if trial.trial_id != trial_id}
        self._announce("trial_ended", claim.number)

    def _tell(self, trial: kt_trial.Trial) -> None:
        waits_for_retry = trial.trial_id in self._retry_queue
        claim = None if waits_for_retry else self._claims.pop(trial.trial_id, None)
        if claim is None:
            return
        reason = self._reasons.pop(trial.trial_id, None)
        self.study._storage.set_trial_user_attr(claim.storage_id, HYPERPARAMETERS, dict(trial.hyperparameters.values))
        if trial.status == kt_trial.TrialStatus.COMPLETED and reason != STOPPED_EARLY:
            self.study.tell(claim.number, trial.score)
        else:
            failed = trial.status != kt_trial.TrialStatus.COMPLETED
            self.study._storage.set_trial_user_attr(
                claim.storage_id, REASON, (reason if reason != STOPPED_EARLY else None) or "error" if failed else reason
            )
            if failed and trial.message:
                self.study._storage.set_trial_user_attr(claim.storage_id, "message", trial.message[-4000:])
            told = self.study.tell(claim.number, state=TrialState.FAIL if failed else TrialState.PRUNED)
            if failed and reason in RETRIED_REASONS:
                retry(self.study, told)
        self._announce("trial_ended", claim.number)

    def reload(self) -> None:
        """Go on with a project that was saved. Trials of a process that is gone come back by the study's queue."""
        super().reload()
        ongoing, self._retry_queue = self._retry_queue, []
        mine = {
            _trial_id(trial.number): trial
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if trial.user_attrs.get(WORKER) == this_worker()
        }
        for trial_id in ongoing:
            if trial_id in mine:  # saved and reloaded in one process: the trial goes on under its id
                trial = mine[trial_id]
                self._claims[trial_id] = Claim(trial.number, trial._trial_id, trial.user_attrs[HYPERPARAMETERS], None)
                self._retry_queue.append(trial_id)
            else:
                self.trials.pop(trial_id, None)

    def get_best_trials(self, num_trials: int = 1) -> list[kt_trial.Trial]:
        """The best complete trials of the study. Those that were stopped early or failed are never among them."""
        stopped = {_trial_id(t.number) for t in self.study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))}
        self._restore()
        completed = kt_trial.TrialStatus.COMPLETED
        trials = [t for t in self.trials.values() if t.status == completed and t.trial_id not in stopped]
        trials = [trial for trial in trials if trial.score is not None]
        return sorted(trials, key=lambda t: t.score, reverse=self.objective.direction == "max")[:num_trials]

    def remaining_trials(self) -> int | None:
        """Trials still to be trained, over all processes; None without `max_trials`."""
        if self.max_trials is None:
            return None
        return max(0, self.max_trials - sum(is_trained(t) for t in self.study.get_trials(deepcopy=False)))

    def _announce(self, event: str, number: int) -> None:
        if self.observers:
            trial = self.study.get_trials(deepcopy=False)[number]
            for observer in self.observers:
                getattr(observer, event)(full_record(trial))

    def _tell_of_refusal(self, trial: FrozenTrial) -> None:
        for observer in self.observers:
            observer.proposal_refused(full_record(trial))


def _trial_id(number: int) -> str:
    return f"{number:04d}"
