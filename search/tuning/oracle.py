"""`OptunaOracle`: KerasTuner's oracle on an Optuna study."""

import math
import numbers
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
from keras_tuner.engine.trial import Trial, TrialStatus
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from ...spaces.errors import InfeasibleArchitecture, InputError
from ..proposals import claims as outcomes
from ..proposals.checks import check_pruner, check_sampler
from ..proposals.claims import Claim
from ..proposals.distributions import ParameterSpace, Values, values_key
from ..proposals.proposer import Infeasible, Proposer
from ..proposals.pruners import pruner_of
from ..proposals.samplers import sampler_for
from ..study.attributes import (
    HISTORY,
    HYPERPARAMETERS,
    LAST_SEEN,
    NAME,
    SECONDS,
    SPACE,
    STOPPED_EARLY,
    WORKER,
    is_trained,
)
from ..study.budget import Budget, Size
from ..study.events import SearchObserver
from ..study.goal import BestMetric, Quantity, SmallestNetwork
from ..study.liveness import bury_the_dead, this_worker
from ..study.records import finite_metrics, full_record, trial_record
from ..study.seeds import derive_seed
from ..study.storage import open_storage
from ..study.studies import open_study
from .goal_arguments import goal_for, metric_for
from .keras_tuner_fixes import DefaultingHyperParameters, exclusive

JOURNAL = "optuna.journal"


class OptunaOracle(keras_tuner.Oracle):
    """Proposes trials with an Optuna sampler, under a hard budget, and keeps them in an Optuna study.

    The study is the truth: several processes may share it, and a new process goes on with it. A proposal that is over
    the budget, infeasible or a duplicate is recorded in the study and never becomes a trial here.

    Where it differs from KerasTuner's own oracles, and why:

    - `max_trials` counts trained trials, over all processes and resumes; refusals and failures cost nothing.
    - A trial's id is Optuna's number, so that the same trial has the same name everywhere.
    - The score is the objective at the last epoch that was reported, not the best: the best of many flatters.
    - A trial that was stopped early is COMPLETED here, since KerasTuner has no such status, and PRUNED in the study.
      It is never among the best; neither are failures, with which KerasTuner fills up.
    - On reloading everything comes from the study. A trial that was running in a process that is gone is failed there,
      and its values come first, under a new id. Failures of earlier processes do not count as failures in a row.
    - Trials that are put into `trials` by hand can be among the best, but the sampler does not learn from them, nor
      from values that a subclass's `populate_space` chose by itself.

    Args:
        objective, max_trials, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: as in `keras_tuner.Oracle`.
        seed: of the proposals and the training; drawn once and kept in the study when it is None.
        budget: the limits, a number of parameters, or None. It takes an `OptunaTuner`, which counts the networks.
        sampler: a name (`kerastuna.search.proposals.samplers.SAMPLERS`) or an Optuna sampler.
        pruner: "halving", "hyperband", "median", "none", or an Optuna pruner. None for what suits the goal: halving
            for one metric, nothing for a front, the distance to the target where there is one.
        pareto: in place of `objective`, two or more metrics, or costs of the network ("params", "macs", "ram"): the
            study looks for the Pareto front. The first metric among them is what KerasTuner calls the score.
        minimize, reach: in place of `objective`, a cost, and a metric with its target, such as "params" and
            {"val_accuracy": 0.994}: the study looks for the smallest network that reaches the target.
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
        pruner: str | BasePruner | None = None,
        pareto: Sequence[str | keras_tuner.Objective] | None = None,
        minimize: str | None = None,
        reach: Mapping[str, float] | None = None,
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
            objective=metric_for(objective, pareto, reach),
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
        if not (budget is None or isinstance(budget, Budget | numbers.Integral)):
            raise InputError(f"budget={budget!r}: give a whole number of parameters, a Budget, or None")
        self.goal = goal_for(self.objective, pareto, minimize, reach)
        sampler_for(sampler, 0)  # an unknown name is told at once
        self._pruner = pruner
        pruner_of(self.goal, pruner, None)
        self.budget = Budget(int(budget)) if isinstance(budget, numbers.Integral) else budget
        self.measure: Callable[[keras_tuner.HyperParameters], Size | None] | None = None
        self.deadline: float | None = None
        self.observers = tuple(observers)
        self.identity = dict(identity or {})
        self.declared: list[dict[str, Any]] | None = None
        self._given_seed = seed
        if seed is not None:
            self.seed = seed  # KerasTuner draws one for 0 as well
        self._sampler = sampler
        self._infeasible: Infeasible = infeasible
        self._storage, self._study_name = storage, study_name
        self._study: optuna.Study | None = None
        self._proposer: Proposer | None = None
        self._space: ParameterSpace | None = None
        self._epochs: int | None = None
        self._claims: dict[str, Claim] = {}
        self._reasons: dict[str, str] = {}

    # The study

    @property
    def study(self) -> optuna.Study:
        """The Optuna study, opened or made at the first use; raises StudyError when that fails."""
        if self._study is None:
            self._open()
        assert self._study is not None
        return self._study

    def _open(self) -> None:
        if self.counted and self.measure is None:
            raise InputError(
                f"{', '.join(sorted(self.counted))} are limited or optimised, but there is nothing to count them: give "
                "the budget or the goal to an OptunaTuner with a hypermodel"
            )
        if self._storage is None:
            placed = getattr(self, "_directory", None) is not None
            self._storage = Path(self._project_dir) / JOURNAL if placed else InMemoryStorage()
        if isinstance(self.goal, SmallestNetwork) and (
            self._sampler == "cmaes" or isinstance(self._sampler, CmaEsSampler)
        ):
            raise InputError("sampler CMA-ES knows no target, and would only shrink the networks: choose another")
        check_sampler(sampler_for(self._sampler, self.seed), self.goal.directions, self.parameter_space)
        pruner = pruner_of(self.goal, self._pruner, self._epochs)
        check_pruner(pruner, self.goal.directions)
        components = getattr(self.objective, "name_to_direction", None)
        limits = {} if self.budget is None else self.budget.limits
        study = open_study(
            open_storage(self._storage),
            self._study_name or getattr(self, "_project_name", None) or "untitled_project",
            directions=self.goal.directions,
            names=None if isinstance(self.goal, BestMetric) else [part.name for part in self.goal.quantities],
            identity={
                "objective": [self.objective.name, self.objective.direction, *([components] if components else [])],
                "goal": self.goal.description(),
                "budget": limits["params"] if limits.keys() == {"params"} else limits or None,
                "seed": self._given_seed,
                **({} if self.declared is None else {"hyperparameters": self.declared}),
                **self.identity,
            },
            pruner=pruner,
            seed=self.seed,
        )
        if self._given_seed is None:
            self.seed = study.user_attrs.get("drawn_seed", self.seed)
            study.set_user_attr("drawn_seed", self.seed)
        bury_the_dead(study)
        self._proposer = Proposer(
            study,
            sampler_for(self._sampler, self.seed),
            self.seed,
            budget=self.budget,
            measure=None if self.measure is None else self._measure_values,
            infeasible=self._infeasible,
            refused=self._tell_of_refusal,
            demands=self.goal.constraints(0.0).keys(),
        )
        self._study = study
        self._share_space()
        self._restore()

    @property
    def counted(self) -> set[str]:
        """The costs that have to be known of every network, by name: those that are limited or optimised."""
        return {*(self.budget.limits if self.budget else ()), *self.goal.costs}

    def _share_space(self) -> None:
        """Exchange the hyperparameters that showed up late with whoever works on the study or goes on with it."""
        shared = self.study.user_attrs.get(SPACE, [])
        known = keras_tuner.HyperParameters.from_config({"space": shared, "values": {}})
        self.hyperparameters.merge(known, overwrite=False)
        space = self.hyperparameters.get_config()["space"]
        if len(space) > len(shared):
            self.study.set_user_attr(SPACE, space)

    def _restore(self) -> None:
        """Take the trained trials of the study, whoever trained them, into KerasTuner's own books."""
        for trial in self._trials:
            if is_trained(trial) and (trial_id := _trial_id(trial.number)) not in self.trials:
                self.trials[trial_id] = self._as_keras_tuner(trial)
                self.start_order.append(trial_id)
                self.end_order.append(trial_id)

    def _as_keras_tuner(self, trial: FrozenTrial) -> Trial:
        hyperparameters = self.get_space()
        hyperparameters.values = dict(trial.user_attrs.get(HYPERPARAMETERS, trial.params))
        twin = Trial(hyperparameters, _trial_id(trial.number), TrialStatus.COMPLETED)
        twin.score = trial_record(trial)["value"]
        twin.best_step = max(0, max(trial.intermediate_values, default=1) - 1)
        if twin.score is not None:
            twin.metrics.register(self.objective.name, direction=self.objective.direction)
            twin.metrics.update(self.objective.name, twin.score, step=twin.best_step)
        return twin

    def reload(self) -> None:
        """Go on with a project: everything is taken from the study, KerasTuner's own files are not read."""
        folder = Path(self._project_dir)
        if not self._trials and any(folder.glob("trial_*/trial.json")):
            message = (
                f"{str(folder)!r} holds trials of another tuner or of a study that is gone, which are not read: give "
                "another project_name, or overwrite=True"
            )
            warnings.warn(message, stacklevel=2)
        self._restore()
        self.ongoing_trials = {}
        for trial in self._trials:
            trial_id = _trial_id(trial.number)
            mine = trial.state == TrialState.RUNNING and trial.user_attrs.get(WORKER) == this_worker()
            if mine and trial_id not in self._retry_queue:  # reloaded within one process: it goes on under its id
                values = trial.user_attrs[HYPERPARAMETERS]
                self._claims[trial_id] = Claim(trial.number, trial._trial_id, values, None)
                self.trials[trial_id] = Trial(self._at(values), trial_id)
                self._retry_queue.append(trial_id)

    @property
    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    # Proposals

    def get_space(self) -> keras_tuner.HyperParameters:
        """A copy of the hyperparameters known by now."""
        return DefaultingHyperParameters.from_config(self.hyperparameters.get_config())

    def _at(self, values: Values) -> keras_tuner.HyperParameters:
        hyperparameters = self.get_space()
        hyperparameters.values = dict(values)
        return hyperparameters

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next trial, by KerasTuner's protocol: {"status", "values"}. Claims a trial of the study."""
        study = self.study
        assert self._proposer is not None
        claim = None if self._is_out_of_time() else self._proposer.next(self.parameter_space, self.max_trials)
        if claim is None:
            return {"status": TrialStatus.STOPPED}
        self._claims[trial_id] = claim
        study._storage.set_trial_user_attr(claim.storage_id, "seed", self.training_seed(claim.values))
        return {"status": TrialStatus.RUNNING, "values": dict(claim.values)}

    @exclusive
    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial for `tuner_id`, named after Optuna's number: "0007"; its status is STOPPED at the end."""
        if tuner_id in self.ongoing_trials:
            return super().create_trial(tuner_id)
        if self._retry_queue and not self._is_out_of_time():
            trial = super().create_trial(tuner_id)
            trial.metrics, trial.score, trial.message = type(trial.metrics)(), None, None  # what the failed run left
            self._announce("trial_started", self._claims[trial.trial_id])
            return trial
        self.tuner_ids.add(tuner_id)
        next_id = _trial_id(len(self._trials))  # where nothing is refused
        stop: dict[str, Any] = {"status": TrialStatus.STOPPED}
        response = stop if self._is_full() else self.populate_space(next_id)
        trial = Trial(self._at(response.get("values") or {}), next_id, response["status"])
        if trial.status == TrialStatus.STOPPED:
            self.tuner_ids.remove(tuner_id)
        if trial.status != TrialStatus.RUNNING:
            return trial
        claim = self._claims.pop(next_id, None)
        if claim is None:  # a subclass chose the values by itself
            claim = self._enter(trial.hyperparameters.values)
        trial.trial_id = _trial_id(claim.number)
        self._claims[trial.trial_id] = claim
        self.trials[trial.trial_id] = self.ongoing_trials[tuner_id] = trial
        self.start_order.append(trial.trial_id)
        self._record_values(trial)
        if trial.hyperparameters.values != claim.values:  # a subclass changed them
            self.study._storage.set_trial_user_attr(
                claim.storage_id, HYPERPARAMETERS, dict(trial.hyperparameters.values)
            )
        self._save_trial(trial)
        self.save()
        self._announce("trial_started", claim)
        self._display.on_trial_begin(trial)
        return trial

    def _enter(self, values: Values) -> Claim:
        size = None
        with suppress(InfeasibleArchitecture):  # which building it will find too, and fail the trial
            size = None if self.measure is None else self._measure_values(values)
        return outcomes.enter(self.study, values, size)

    def _is_full(self) -> bool:
        taken = sum(is_trained(trial) or trial.state == TrialState.RUNNING for trial in self._trials)
        return self.max_trials is not None and taken >= self.max_trials

    def _is_out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def parameter_space(self) -> ParameterSpace:
        """The hyperparameters known by now, as Optuna sees them."""
        if self._space is None or len(self._space) != len(self.hyperparameters.space):
            self._space = ParameterSpace(self.hyperparameters.space)
        return self._space

    def training_seed(self, values: Values) -> int:
        """The seed a trial with these values is trained with: the same on every retry and resume."""
        return derive_seed(self.seed, "training", values_key(values))

    def seed_of(self, trial: Trial) -> int:
        """The training seed of a running trial, by the values it was proposed with."""
        claim = self._claims.get(trial.trial_id)
        return self.training_seed(trial.hyperparameters.values if claim is None else claim.values)

    def enqueue(self, values: Values, name: str | None = None) -> None:
        """Let the next trial be the one with `values`; raises SpaceError when they are not in the space."""
        parameters, _ = self.parameter_space.encode(values)
        self.study.enqueue_trial(parameters, user_attrs={} if name is None else {NAME: name})

    def _measure_values(self, values: Values) -> Size | None:
        assert self.measure is not None
        return self.measure(self._at(values))

    # What becomes of a trial

    def set_epochs(self, epochs: int | None) -> None:
        """How many epochs a full trial has, by which a pruner that was chosen by name places its rungs."""
        self._epochs = epochs
        self.study.pruner = pruner_of(self.goal, self._pruner, epochs)

    def report(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Note the metrics of `epoch` (from 1) of a running trial; returns whether the pruner stops it here."""
        claim = self._claims.get(trial_id)
        if claim is None:  # made by hand: the study does not know it
            return False
        storage = self.study._storage
        storage.set_trial_user_attr(claim.storage_id, LAST_SEEN, time.time())
        for observer in self.observers:
            observer.epoch_ended(claim.number, epoch, metrics)
        if not self.objective.has_value(metrics):
            return False
        value = float(self.objective.get_value(metrics))
        storage.set_trial_intermediate_value(claim.storage_id, epoch, value)
        # Past its half a trial is left to finish: a complete one is worth more than the epochs it would save. But one
        # that cannot reach the target is worth nothing, and a user's own pruner decides by itself.
        decides = isinstance(self._pruner, BasePruner) or isinstance(self.goal, SmallestNetwork)
        may_stop = decides or self._epochs is None or 2 * epoch <= self._epochs
        if not (may_stop and self.study.pruner.prune(self.study, storage.get_trial(claim.storage_id))):
            return False
        self._reasons[trial_id] = STOPPED_EARLY
        return True

    def note(self, trial_id: str, *, reason: str | None = None, **attributes: Any) -> None:
        """Keep `attributes` with a running trial, and the `reason` for which it is going to fail."""
        if reason is not None:
            self._reasons[trial_id] = reason
        if claim := self._claims.get(trial_id):
            for key, value in attributes.items():
                self.study._storage.set_trial_user_attr(claim.storage_id, key, value)

    def note_training(self, trial_id: str, history: Sequence[Mapping[str, float]]) -> None:
        """Keep the metrics of every epoch of a trial, and the seconds they took."""
        seconds = sum(epoch.get("seconds", 0.0) for epoch in history)
        self.note(trial_id, **{HISTORY: [finite_metrics(epoch) for epoch in history], SECONDS: round(seconds, 3)})

    @exclusive
    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Take the metrics of a trial, as in `keras_tuner.Oracle`."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="All-NaN axis encountered")  # `end_trial` fails such a trial
            return super().update_trial(trial_id, metrics, step)

    def score_trial(self, trial: Trial) -> None:
        """The score is the objective at the last step that was reported: the best would flatter."""
        last = trial.metrics.get_history(self.objective.name)[-1]
        trial.score, trial.best_step = float(last.mean()), last.step

    @exclusive
    def end_trial(self, trial: Trial) -> None:
        """End or retry a trial, as in `keras_tuner.Oracle`, and tell the study."""
        known = self.trials.get(trial.trial_id)
        if known is not None and trial.status == TrialStatus.COMPLETED:
            parts = [part for part in self.goal.quantities if part != self.goal.metric]
            if unknown := [part.name for part in parts if math.isnan(self._value(part, known))]:
                trial.status = TrialStatus.FAILED
                trial.message = f"{unknown[0]}, which the study optimises, is not known of this trial"
        try:
            super().end_trial(trial)
        finally:
            # The check for failures in a row may raise, and the study has to learn of this trial all the same.
            if trial.trial_id in self.trials:
                self._tell(self.trials[trial.trial_id])
        self._share_space()

    @exclusive
    def abandon(self, trial_id: str, reason: str) -> None:
        """Fail a running trial that was interrupted. Its hyperparameters are enqueued, and come first on resuming."""
        self._reasons.pop(trial_id, None)
        self._forget(trial_id)
        if claim := self._claims.pop(trial_id, None):
            self.trials.pop(trial_id, None)
            outcomes.fail(self.study, claim, reason)
            self._announce("trial_ended", claim)

    def abandon_all(self, reason: str) -> None:
        """`abandon` every trial that is running here or waits to be tried again."""
        for trial_id in [*(trial.trial_id for trial in self.ongoing_trials.values()), *self._retry_queue]:
            self.abandon(trial_id, reason)

    def _forget(self, trial_id: str) -> None:
        self._retry_queue = [waiting for waiting in self._retry_queue if waiting != trial_id]
        self.ongoing_trials = {key: trial for key, trial in self.ongoing_trials.items() if trial.trial_id != trial_id}

    def _tell(self, trial: Trial) -> None:
        reason = self._reasons.pop(trial.trial_id, None)
        if trial.trial_id in self._retry_queue:
            return
        self._forget(trial.trial_id)
        found = [self._value(part, trial) for part in self.goal.quantities]
        claim = self._claims.pop(trial.trial_id, None)
        if claim is None:
            return
        storage = self.study._storage
        if storage.get_trial(claim.storage_id).state.is_finished():
            message = (
                f"trial {claim.number} was taken for dead by another process, and tried again: this result is left out"
            )
            warnings.warn(message, stacklevel=2)
            return
        # A hyperparameter that is not tuned always has its default, and does not make two trials different.
        tuned = {hp.name for hp in self.hyperparameters.space}
        values = {name: value for name, value in trial.hyperparameters.values.items() if name in tuned}
        storage.set_trial_user_attr(claim.storage_id, HYPERPARAMETERS, values)
        score = trial.score if trial.status == TrialStatus.COMPLETED else None
        if score is not None:
            constraints = self.goal.constraints(score)
            if reason == STOPPED_EARLY:
                outcomes.stop_early(self.study, claim, constraints)
            else:
                outcomes.complete(self.study, claim, score, found, constraints)
        else:
            if reason in (None, STOPPED_EARLY):
                reason = "error" if trial.score is None else "not_finite"
            outcomes.fail(self.study, claim, reason, trial.message)
        self._announce("trial_ended", claim)

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best complete trials of the study. Those that were stopped early or failed are never among them.

        Of equals the one with fewer parameters comes first, then the earlier one. Of a study of a Pareto front these
        are the front, in the order of its metric.
        """
        self._restore()
        states = {_trial_id(trial.number): trial.state for trial in self._trials}
        board = [_trial_id(trial.number) for trial in self.goal.leaderboard(self._trials)]
        best = [self.trials[trial_id] for trial_id in board if trial_id in self.trials]
        if isinstance(self.goal, BestMetric):  # those made by hand and infinite ones have a place too
            complete = {key: trial for key, trial in self.trials.items() if _is_complete(trial) and key not in board}
            # KerasTuner's display asks before the study is told.
            ending = {key for key in self._claims if self._reasons.get(key) != STOPPED_EARLY}
            here = {key for key in complete if states.get(key) in (None, TrialState.COMPLETE)} | ending
            best += [trial for key, trial in complete.items() if key in here]
            best.sort(key=lambda trial: self.goal.rank(trial.score or 0.0, {}))
        return best[:num_trials]

    def remaining_trials(self) -> int | None:
        """Trials still to be trained, over all processes; None without `max_trials`."""
        if self.max_trials is None:
            return None
        return max(0, self.max_trials - sum(map(is_trained, self._trials)))

    def _value(self, part: Quantity, trial: Trial) -> float:
        """One of the study's values for a complete trial; NaN when it is not known."""
        if part == self.goal.metric:
            return math.nan if trial.score is None else float(trial.score)
        if part.is_cost:
            claim = self._claims.get(trial.trial_id)
            counted = None if claim is None else self._trials[claim.number].user_attrs.get(part.name)
            return math.nan if counted is None else float(counted)
        reported = trial.metrics.get_history(part.name) if trial.metrics.exists(part.name) else []
        return float(reported[-1].mean()) if reported else math.nan

    def _announce(self, event: str, claim: Claim) -> None:
        for observer in self.observers:
            kept = getattr(observer, event)(full_record(self._trials[claim.number]))
            if kept:
                self.note(_trial_id(claim.number), **kept)

    def _tell_of_refusal(self, trial: FrozenTrial) -> None:
        for observer in self.observers:
            observer.proposal_refused(full_record(trial))


def _is_complete(trial: Trial) -> bool:
    return trial.status == TrialStatus.COMPLETED and trial.score is not None and not math.isnan(trial.score)


def _trial_id(number: int) -> str:
    return f"{number:04d}"
