"""`OptunaOracle`: KerasTuner's oracle on an Optuna study."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from ..errors import InfeasibleArchitecture, SpaceError
from ..messages import redact
from ..proposals.claims import Claim
from ..proposals.distributions import Values
from ..study.attributes import HYPERPARAMETERS, SEED
from ..study.events import SearchObserver
from ..study.reasons import STOPPED_EARLY, TIMEOUT
from ..study.searches import searched_here
from ..training.epochs import failure_reason
from ..training.interruption import stop_if_told
from .hyperparameters import share_hyperparameters
from .int8_objective import metrics_in, with_stand_ins
from .keras_tuner_fixes import exclusive
from .keras_tuner_trials import best_trials, trial_id_of
from .study_oracle import StudyOracle
from .trial_end import end_in_study, fail_where_unknown


class OptunaOracle(StudyOracle):
    """Proposes trials with an Optuna sampler, under a hard budget, and keeps them in an Optuna study.

    The study holds everything: several processes may share it, and a new process goes on with it. A proposal that is
    over the budget, infeasible or a duplicate is recorded in the study and never becomes a trial here.

    `max_trials` counts trained trials, over all processes and resumed searches. A trial's id is Optuna's number. The
    score is the objective at the last epoch that was reported. docs/keras_tuner.md lists every difference from
    KerasTuner's own oracles, with the reason.

    Args:
        objective, max_trials, hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial,
            max_consecutive_failed_trials: as in `keras_tuner.Oracle`.
        measure: counts the network at some hyperparameters; an `OptunaTuner` gives it. None: nothing is counted.
        seed: of the proposals and the training. None: one is drawn, and kept in the study.
        is_closed_form: whether `measure` takes no time to speak of. TPE's first trials are then spread over the budget.
        budget: the limits, a number of parameters, or None. It needs a `measure`.
        sampler: a name, one of `kerastuna.search.proposals.names.SAMPLER_NAMES` ("tpe"), or an Optuna sampler.
        pruner: "halving", "hyperband", "median", "none", or an Optuna pruner. None for what suits the goal: halving
            for one metric, nothing for a front, the distance to the target where there is one.
        pareto: in place of `objective`, two or more metrics, or costs of the network ("params", "macs", "ram"): the
            study looks for the Pareto front. The first metric among them is what KerasTuner calls the score.
        minimize, reach: in place of `objective`, a cost, and a metric with its target, such as "params" and
            {"val_accuracy": 0.994}: the study looks for the smallest network that reaches the target.
        storage: an Optuna storage, a database URL, or a journal file's path. None: a journal in the project's folder.
        study_name: None for the project's name.
        infeasible: "hide" refused proposals from the sampler ("hide" is the default), or let it "learn" from them.
        identity: what else identifies the study, JSON-able. A study of the same name with another identity is refused.
        wait: while the study is full of trials that other processes train, wait for their ends, and take over a trial
            whose process was killed (the default). False: the search ends then, and the study may stay one short.
        observers: told of every step of a search.

    Raises InputError for an argument that is not allowed, and StudyError (at the first proposal) for the storage.
    """

    deadline: float | None = None
    _epochs: int | None = None

    @contextmanager
    def searching(
        self,
        *,
        epochs: int | None = None,
        deadline: float | None = None,
        observers: Sequence[SearchObserver] = (),
    ) -> Iterator[None]:
        """Hold for one search, in the block: observers are told of its begin and its end.

        Trials that still run when the block is left are failed, and enqueued again.

        Args:
            epochs: of a full trial, by which a pruner chosen by name places its rungs; None: each trial has its own.
            deadline: when the search has to end, on the clock of `time.monotonic`.
            observers: for this search, besides those of the oracle.
        """
        self.deadline, self._epochs = deadline, epochs
        self.study.pruner = self.settings.pruner_of(epochs)
        reason = TIMEOUT
        claimed = [claim.number for claim in self._claims.values()]
        with (
            searched_here(self.stored, claimed) as fail_what_is_left,
            self._announcer.search(self.study, self.search_record(epochs), observers),
        ):
            try:
                yield
            except BaseException as error:
                reason = failure_reason(error)
                raise
            finally:
                self.abandon_all(reason)
                fail_what_is_left()  # an error may have come between a claim and its return
                self.deadline = self._epochs = None

    def search_record(self, epochs: int | None) -> dict[str, Any]:
        """What a search is asked to do, as plain values by name, for its record."""
        return {"max_trials": self.max_trials, "epochs": epochs, "seed": self.seed, **self.settings.record()}

    # Proposals

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next trial, by KerasTuner's protocol: {"status", "values"}. Claims a trial of the study."""
        proposer = self._opened.proposer
        claim = None if self._is_out_of_time() else proposer.next(self.parameter_space, self.max_trials, self._waits)
        if claim is None:
            return {"status": TrialStatus.STOPPED}
        self._claims[trial_id] = claim
        claim.keep(**{SEED: self.training_seed(claim.values)})
        return {"status": TrialStatus.RUNNING, "values": dict(claim.values)}

    @exclusive
    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial for `tuner_id`, named after Optuna's number: "0007"; its status is STOPPED at the end."""
        stop_if_told()
        if tuner_id in self.ongoing_trials:
            return super().create_trial(tuner_id)
        if self._retry_queue and not self._is_out_of_time():
            trial = super().create_trial(tuner_id)
            trial.metrics, trial.score, trial.message = type(trial.metrics)(), None, None  # of the failed run
            self._claims[trial.trial_id].start()
            return trial
        self.tuner_ids.add(tuner_id)
        next_id = trial_id_of(len(self._trials))  # unless a proposal is refused
        stop: dict[str, Any] = {"status": TrialStatus.STOPPED}
        response = stop if self._opened.proposer.is_full(self.max_trials, self._waits) else self.populate_space(next_id)
        trial = Trial(self._at(response.get("values") or {}), next_id, response["status"])
        if trial.status == TrialStatus.STOPPED:
            self.tuner_ids.remove(tuner_id)
        if trial.status != TrialStatus.RUNNING:
            return trial
        values = trial.hyperparameters.values
        claim = self._claims.pop(next_id, None) or self._enter(values)  # a subclass may choose the values by itself
        trial.trial_id = trial_id_of(claim.number)
        self._claims[trial.trial_id] = claim
        self.trials[trial.trial_id] = self.ongoing_trials[tuner_id] = trial
        self.start_order.append(trial.trial_id)
        self._record_values(trial)
        if values != claim.values:  # a subclass changed them
            claim.keep(**{HYPERPARAMETERS: dict(values)})
        self._save_trial(trial)
        self.save()
        claim.start()
        self._display.on_trial_begin(trial)
        return trial

    def _enter(self, values: Values) -> Claim:
        size, encoded = None, ({}, {})
        with suppress(InfeasibleArchitecture):  # building the network raises it again, and fails the trial
            size = None if self._measure is None else self._size_at(values)
        with suppress(SpaceError):  # KerasTuner trains what is outside the space, too
            encoded = self.parameter_space.encode(values)
        return Claim.enter(self._opened.stored, self._announcer, values, size, encoded)

    def _is_out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _waits(self) -> bool:
        stop_if_told()
        return self.settings.wait and not self._is_out_of_time()

    def seed_of(self, trial: Trial) -> int:
        """The training seed of a running trial, by the values it was proposed with."""
        claim = self._claims.get(trial.trial_id)
        return self.training_seed(trial.hyperparameters.values if claim is None else claim.values)

    # What becomes of a trial

    def claim_of(self, trial_id: str) -> Claim | None:
        """The running trial of the study; None for one that was made by hand, which the study does not know."""
        return self._claims.get(trial_id)

    def report(
        self, trial_id: str, epoch: int, metrics: Mapping[str, float], epochs: int | None = None, may_stop: bool = True
    ) -> bool:
        """Store the metrics of `epoch` (from 1) of a running trial; returns whether the pruner stops it here.

        Args:
            epochs: of this trial. Where `searching` was told none, a pruner chosen by name places its rungs by them.
            may_stop: whether the pruner is asked.
        """
        if (claim := self._claims.get(trial_id)) is None:
            return False
        told = with_stand_ins(metrics_in(self.objective), metrics)
        value = float(self.objective.get_value(told)) if self.objective.has_value(told) else None
        by_trial = self._epochs is None and epochs is not None
        pruner = self.settings.pruner_of(epochs) if by_trial else self.study.pruner
        return claim.report(epoch, metrics, value, pruner if may_stop else None)

    @exclusive
    def end_trial(self, trial: Trial) -> None:
        """End or retry a trial, as in `keras_tuner.Oracle`, and end it in the study."""
        trial.message = trial.message and redact(trial.message)  # KerasTuner writes it to a file
        if (known := self.trials.get(trial.trial_id)) is not None:
            fail_where_unknown(trial, known, self.goal, self._claims.get(trial.trial_id))
        try:
            super().end_trial(trial)
        finally:
            # The check for failures in a row may raise. The trial ends in the study all the same.
            if trial.trial_id in self.trials:
                self._end(self.trials[trial.trial_id])
        share_hyperparameters(self.study, self.hyperparameters)

    def _end(self, trial: Trial) -> None:
        if trial.trial_id in self._retry_queue:
            return
        self._forget(trial.trial_id)
        if claim := self._claims.pop(trial.trial_id, None):
            end_in_study(claim, trial, self.goal, self.hyperparameters.space)

    @exclusive
    def abandon(self, trial_id: str, reason: str) -> None:
        """Fail a running trial that was interrupted. Its hyperparameters are enqueued, and tried first on resuming."""
        self._forget(trial_id)
        if claim := self._claims.pop(trial_id, None):
            self.trials.pop(trial_id, None)
            claim.fail(reason=reason)

    def abandon_all(self, reason: str) -> None:
        """`abandon` every trial that is running here or waits to be tried again."""
        for trial_id in [*(trial.trial_id for trial in self.ongoing_trials.values()), *self._retry_queue]:
            self.abandon(trial_id, reason)

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best complete trials of the study. Trials that were stopped early or failed are never among them.

        Of equal trials the one with fewer parameters comes first, then the earlier one. In a study of a Pareto front
        these are the front, in the order of its metric.
        """
        self._restore()
        # KerasTuner's display asks before the trial has ended in the study.
        ending = [trial_id for trial_id, claim in self._claims.items() if claim.reason != STOPPED_EARLY]
        return best_trials(self.goal, self._trials, self.trials, ending)[:num_trials]

    def remaining_trials(self) -> int | None:
        """Trials still to be trained, over all processes; None without `max_trials`."""
        return None if self.max_trials is None else max(0, self.max_trials - self._opened.proposer.trained)
