"""`OptunaTuner`: KerasTuner's tuner with Optuna's samplers and pruners, and a hard budget."""

import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import keras
import keras_tuner
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage

from ..spaces.space import SearchSpace
from .budget import Budget, Size
from .errors import OverBudget, SpaceError
from .observer import SearchObserver
from .oracle import OptunaOracle
from .proposals import Infeasible
from .training import EpochMetrics, EpochReporter, failure_reason, last_epoch

_logger = logging.getLogger(__name__)

HyperModel = keras_tuner.HyperModel | Callable[[keras_tuner.HyperParameters], keras.Model]


class OptunaTuner(keras_tuner.Tuner):
    """Searches a KerasTuner `HyperModel` with Optuna, and never trains a network that is over the budget.

    It takes the place of `keras_tuner.RandomSearch`, `BayesianOptimization` or `Hyperband` without a change of the
    `HyperModel` or of the call of `search`. A `SearchSpace` is counted in closed form, before anything is built; any
    other `HyperModel` is built once to be counted.

    Args:
        hypermodel: a `HyperModel`, a `SearchSpace`, or a function from hyperparameters to a compiled model.
        objective: the name of a metric, a `keras_tuner.Objective`, or a list of them (their signed sum).
        max_trials: trained trials of the study in all; see `OptunaOracle`.
        budget: the most parameters a network may have in all, or a `Budget`; None for no limit.
        sampler, pruner, storage, study_name, infeasible, seed, identity, observers: see `OptunaOracle`.
        hyperparameters, tune_new_entries, allow_new_entries, max_retries_per_trial, max_consecutive_failed_trials,
            directory, project_name, overwrite, executions_per_trial, optimizer, loss, metrics, distribution_strategy,
            tuner_id: as in KerasTuner. `overwrite` deletes the project's folder, and the study when it is kept there.

    A trial's score is the objective at the last epoch, and its weights are those of the last epoch. Raises InputError
    for an argument that is not allowed, at the start, and StudyError when the study has another identity.
    """

    oracle: OptunaOracle

    def __init__(
        self,
        hypermodel: HyperModel | None = None,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        budget: Budget | int | None = None,
        sampler: str | BaseSampler = "tpe",
        pruner: str | BasePruner = "halving",
        storage: str | Path | BaseStorage | None = None,
        study_name: str | None = None,
        infeasible: Infeasible = "hide",
        seed: int | None = None,
        identity: Mapping[str, Any] | None = None,
        observers: Sequence[SearchObserver] = (),
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        distribution_strategy: Any = None,
        tuner_id: str | None = None,
    ) -> None:
        oracle = OptunaOracle(
            objective,
            max_trials,
            seed=seed,
            budget=budget,
            sampler=sampler,
            pruner=pruner,
            storage=storage,
            study_name=study_name,
            infeasible=infeasible,
            identity=identity,
            observers=observers,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self._input_shape: tuple[int | None, ...] | None = None
        super().__init__(
            oracle=oracle,
            hypermodel=hypermodel,
            directory=None if directory is None else str(directory),
            project_name=project_name,
            overwrite=overwrite,
            executions_per_trial=executions_per_trial,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            distribution_strategy=distribution_strategy,
            tuner_id=tuner_id,
        )
        if isinstance(self.hypermodel, SearchSpace) or oracle.budget is not None:
            oracle.measure = self.measure

    def _populate_initial_space(self) -> None:
        if isinstance(self.hypermodel, SearchSpace):
            # Its hyperparameters are declared without building a network, which might be over the budget.
            space = self.oracle.get_space()
            self.hypermodel.declare_hyperparameters(space)
            self.oracle.update_space(space)
        else:
            super()._populate_initial_space()
        self.oracle.declared = self.oracle.parameter_space.describe()

    def measure(self, hp: keras_tuner.HyperParameters) -> Size | None:
        """The size of the network at `hp`: in closed form if the space has one, else by building it.

        Raises InfeasibleArchitecture where the layers do not fit the input, and SpaceError when the network has no
        parameters to count before it sees data.
        """
        if isinstance(self.hypermodel, SearchSpace):
            architecture = self.hypermodel.architecture(hp)
            cost = self.hypermodel.cost(hp)
            return Size(cost.params, cost.macs, architecture.summary)
        keras.backend.clear_session()
        try:
            model: Any = self._build_hypermodel(hp)
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            # Building it for training fails in the same way, and that is where the failure is recorded.
            _logger.info("a network could not be counted, as it cannot be built: %s", error)
            return None
        return Size(self._count(model)) if isinstance(model, keras.Model) else None

    def _count(self, model: keras.Model) -> int:
        if not model.built:
            if self._input_shape is None:
                raise SpaceError(
                    f"{model.name} has no input shape, so its parameters cannot be counted: begin it with keras.Input"
                )
            model.build(self._input_shape)
        return model.count_params()

    def _try_build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model: Any = super()._try_build(hp)
        budget = self.oracle.budget if isinstance(self.oracle, OptunaOracle) else None
        if budget is not None and not budget.allows(size := Size(self._count(model))):
            raise OverBudget(f"the model that was built has {size.params:,} parameters, {budget.params:,} are allowed")
        return model

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Search until the study has `max_trials`; takes what `model.fit` takes.

        An interruption (Ctrl-C) fails the trial that is running, keeps everything else, and is raised again.
        """
        images: Any = kwargs.get("x", args[0] if args else None)
        self._input_shape = (None, *images.shape[1:]) if hasattr(images, "shape") else None
        if isinstance(self.oracle, OptunaOracle):
            self.oracle.set_epochs(kwargs.get("epochs"))
        try:
            super().search(*args, **kwargs)
        except BaseException as error:
            if isinstance(self.oracle, OptunaOracle):
                for trial in list(self.oracle.ongoing_trials.values()):
                    self.oracle.abandon(trial.trial_id, failure_reason(error))
            raise

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Train the model at `trial.hyperparameters` `executions_per_trial` times; returns a result for each."""
        callbacks = kwargs.pop("callbacks", None) or []
        results: list[Any] = []
        best: float | None = None
        for execution in range(self.executions_per_trial):
            reporter = self._reporter(trial, execution)
            own = self._deepcopy_callbacks(callbacks)
            self._configure_tensorboard_dir(own, trial, execution)
            own += [_Hooks(self, trial), reporter]
            keras.utils.set_random_seed((self._training_seed(trial) + execution) % 2**32)
            try:
                result = self._build_and_fit_model(trial, *args, **kwargs, callbacks=own)
                if reporter.failure is not None:
                    raise reporter.failure
            except Exception as error:
                self._note(trial, reporter, execution, reason=failure_reason(error))
                raise
            self._note(trial, reporter, execution)
            result = self._last_epoch(result)
            results.append(result)
            score = result.get(self.oracle.objective.name) if isinstance(result, dict) else result
            if best is None or self.oracle.objective.better_than(score, best):
                best = score
                if reporter.trained is not None:
                    reporter.trained.save_weights(self._get_checkpoint_fname(trial.trial_id))
            if reporter.stopped:
                break
        gc.collect()
        return results

    def _last_epoch(self, result: Any) -> Any:
        if not isinstance(result, keras.callbacks.History):
            return result
        metrics = last_epoch(result)
        objective = self.oracle.objective
        if objective.name not in metrics and objective.has_value(metrics):
            metrics[objective.name] = objective.get_value(metrics)
        return metrics

    def _reporter(self, trial: Any, execution: int) -> EpochReporter:
        names = getattr(self.oracle.objective, "name_to_direction", {self.oracle.objective.name: None})
        if not isinstance(self.oracle, OptunaOracle):  # a worker of KerasTuner's own kind: its oracle knows no pruning
            return EpochReporter(lambda epoch, metrics: False, tuple(names))

        def report(epoch: int, metrics: EpochMetrics) -> bool:
            return self.oracle.report(trial.trial_id, epoch, metrics)

        # Only the first of several executions is held against the others.
        return EpochReporter(report if execution == 0 else lambda e, m: False, tuple(names), self.oracle.deadline)

    def _note(self, trial: Any, reporter: EpochReporter, execution: int, reason: str | None = None) -> None:
        if isinstance(self.oracle, OptunaOracle):
            if execution == 0:
                self.oracle.note_training(trial.trial_id, reporter.history)
            self.oracle.note(trial.trial_id, reason=reason)

    def _training_seed(self, trial: Any) -> int:
        if isinstance(self.oracle, OptunaOracle):
            return self.oracle.training_seed(trial.hyperparameters.values)
        return self.oracle._oracle.training_seed(trial.hyperparameters.values)

    def _configure_tensorboard_dir(self, callbacks: list[Any], trial: Any, execution: int = 0) -> None:
        # KerasTuner imports tensorboard here, which TensorFlow no longer brings: every trial would fail.
        for callback in callbacks:
            if type(callback).__name__ == "TensorBoard":
                callback.log_dir = self._get_tensorboard_dir(callback.log_dir, trial.trial_id, execution)


@final
class _Hooks(keras.callbacks.Callback):
    """Calls the tuner's own hooks, which a subclass may override."""

    def __init__(self, tuner: OptunaTuner, trial: Any) -> None:
        super().__init__()
        self._tuner, self._trial = tuner, trial

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._tuner.on_epoch_begin(self._trial, self.model, epoch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._tuner.on_batch_begin(self._trial, self.model, batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self._tuner.on_batch_end(self._trial, self.model, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._tuner.on_epoch_end(self._trial, self.model, epoch, logs=logs)
