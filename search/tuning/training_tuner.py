"""How a tuner trains one trial of an Optuna study, and what it tells the study of that."""

import importlib.util
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras_tuner
from keras_tuner.errors import FatalError

from ...spaces.space import SearchSpace
from ..compat.keras import set_kept_settings, settings_kept
from ..compat.keras_tuner import check_results, oracle_of_client, trains_as, tuner_callback
from ..errors import InputError
from ..proposals.claims import Claim
from ..training.engine import fit
from ..training.epochs import EpochMetrics, EpochReporter, failure_reason, final_metrics, last_metrics
from ..training.failures import TrialLimit
from ..training.hypermodels import has_own_fit
from ..training.kept_weights import result_of_kept_weights, validated_again
from .fit_arguments import by_name, epochs_of, validates_every_epoch
from .int8_objective import Int8Objective
from .objective_check import ObjectiveCheck
from .oracle import OptunaOracle
from .settings import StudySettings
from .trial_checkpoints import TrialCheckpoints


class TrainingTuner(keras_tuner.Tuner):
    """The base of `OptunaTuner`, which makes what is declared here; abstract, as `keras_tuner.Tuner` is.

    The oracle is one of KerasTuner's clients where this tuner is a worker of KerasTuner's own kind. Its chief has the
    study then, and is told the result alone.
    """

    oracle: Any  # an OptunaOracle, or a client of one
    _settings: StudySettings
    _int8: Int8Objective
    _checkpoints: TrialCheckpoints
    _trial_timeout: float | None

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Train the model at `trial.hyperparameters`, `executions_per_trial` times; returns a result for each."""
        callbacks = kwargs.pop("callbacks", None) or []
        results: list[Any] = []
        best: float | None = None
        limit = TrialLimit.from_now(self._trial_timeout)
        for execution in range(self.executions_per_trial):
            reporter = self._reporter(trial, execution, limit, args, kwargs)
            own = self._deepcopy_callbacks(callbacks)
            self._configure_tensorboard_dir(own, trial, execution)
            own += [tuner_callback(self, trial), reporter]
            try:
                results.append(self._checkpoints.train(trial, execution, reporter, own, callbacks, args, kwargs))
                if reporter.failure is not None:
                    raise reporter.failure
                model, ago = reporter.model, reporter.epochs_since_kept
                again = partial(validated_again, None if has_own_fit(self.hypermodel) else model, by_name(args, kwargs))
                results[-1] = result_of_kept_weights(results[-1], reporter.history, ago, again)
                objective = self.oracle.objective
                results[-1] = self._int8.added(results[-1], reporter, objective, args, kwargs)
            except Exception as error:
                self._note(trial, reporter, execution, reason=failure_reason(error))
                raise
            self._note(trial, reporter, execution)
            score = final_metrics(results[-1], objective)[0].get(objective.name)
            if model is not None and (best is None or score is None or objective.better_than(score, best)):
                best = score
                model.save_weights(self._get_checkpoint_fname(trial.trial_id))
            if reporter.stopped:
                break
        return results

    def on_trial_end(self, trial: Any) -> None:
        """End the trial, and remove its checkpoint unless it is tried again."""
        super().on_trial_end(trial)
        self._checkpoints.trial_ended(trial.trial_id)

    @settings_kept()
    def _populate_initial_space(self) -> None:
        """What a build sets, such as a dtype policy at some hyperparameters, is not set for the trials."""
        super()._populate_initial_space()

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> Any:
        set_kept_settings()  # KerasTuner has cleared the session
        return super()._build_hypermodel(hp)

    def _build_and_fit_model(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(self.hypermodel, SearchSpace):
            return super()._build_and_fit_model(trial, *args, **kwargs)
        model: Any = self._try_build(trial.hyperparameters)
        return fit(self.hypermodel, trial.hyperparameters, model, *args, **kwargs)

    def _run_and_update_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> None:
        try:
            results = self.run_trial(trial, *fit_args, **fit_kwargs)
            objective = self.oracle.objective
            if self.oracle.get_trial(trial.trial_id).metrics.exists(objective.name):
                return  # `run_trial` has called `oracle.update_trial` itself, which KerasTuner allows
            check_results(results, objective)
            check = self._objective_check
            for result in results if isinstance(results, list) else [results]:
                check(last_metrics(result, objective))
        except InputError as error:
            raise FatalError(str(error)) from error
        except Exception as error:
            if (claim := self._claim_of(trial)) is not None and claim.reason is None:
                claim.reason = failure_reason(error)  # a subclass trains in a way of its own
            raise
        metrics, step = final_metrics(results, objective)
        self.oracle.update_trial(trial.trial_id, metrics, step=step)

    @property
    def _objective_check(self) -> ObjectiveCheck:
        oracle = self.oracle
        known = oracle.trials.values if isinstance(oracle, OptunaOracle) else oracle.get_best_trials
        return ObjectiveCheck(oracle.objective, self._settings.goal, known)

    def _reporter(
        self, trial: Any, execution: int, limit: TrialLimit | None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> EpochReporter:
        # What trains in its own way may report one thing and return another.
        plain = trains_as(self, TrainingTuner) and not has_own_fit(self.hypermodel)
        check = self._objective_check if plain and validates_every_epoch(kwargs) else lambda metrics: None
        oracle = self.oracle if isinstance(self.oracle, OptunaOracle) else None  # None: a worker of KerasTuner's kind

        def report(epoch: int, metrics: EpochMetrics, epochs: int | None) -> bool:
            if oracle is None or execution > 0:
                return False
            return oracle.report(trial.trial_id, epoch, metrics, epochs, may_stop=epochs is not None)

        def report_batches(epoch: int, done: int, batches: int | None) -> None:
            claim = None if oracle is None or execution > 0 else oracle.claim_of(trial.trial_id)
            if claim is not None:
                claim.report_batches(epoch, done, batches)

        deadline, names = None if oracle is None else oracle.deadline, self._objective_check.names
        told: Any = {"epochs": epochs_of(args, kwargs), "check": check, "report_batches": report_batches}
        return EpochReporter(report, names, deadline, limit=limit, **told)

    def _note(self, trial: Any, reporter: EpochReporter, execution: int, reason: str | None = None) -> None:
        """Store the history of the first execution, the seconds of all, and why the trial is going to fail, if so."""
        if (claim := self._claim_of(trial)) is None:
            return
        if execution == 0:
            claim.keep_history(reporter.history)
        else:
            claim.add_seconds(reporter.history)
        if reason is not None:
            claim.reason = reason

    def _claim_of(self, trial: Any) -> Claim | None:
        return self.oracle.claim_of(trial.trial_id) if isinstance(self.oracle, OptunaOracle) else None

    def _seed_of(self, trial: Any) -> int:
        oracle = self.oracle if isinstance(self.oracle, OptunaOracle) else oracle_of_client(self.oracle)
        return oracle.seed_of(trial)

    def _configure_tensorboard_dir(self, callbacks: list[Any], trial: Any, execution: int = 0) -> None:
        if importlib.util.find_spec("tensorboard") is not None:
            super()._configure_tensorboard_dir(callbacks, trial, execution)
            return
        # KerasTuner would import tensorboard, which TensorFlow no longer brings, and every trial would fail.
        for callback in callbacks:
            if type(callback).__name__ == "TensorBoard":
                callback.log_dir = self._get_tensorboard_dir(callback.log_dir, trial.trial_id, execution)
