"""`OptunaTuner`: KerasTuner's tuner with Optuna's samplers and pruners, and a hard budget."""

import importlib.util
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.tuner import maybe_distribute
from keras_tuner.errors import FatalError
from keras_tuner.src import config as keras_tuner_config
from keras_tuner.src.engine import tuner_utils
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage

from ...spaces.cost import cost
from ...spaces.errors import InputError, KerastunaError
from ...spaces.space import SearchSpace
from ..errors import OverBudget, SpaceError, StudyError
from ..proposals.proposer import Infeasible
from ..study.budget import Budget, Size
from ..study.events import SearchObserver, observed
from ..tracking.recorder import TrackingObserver, open_recorder
from ..training.device import software
from ..training.epochs import EpochMetrics, EpochReporter, failure_reason, final_metrics
from .model_size import model_size
from .oracle import OptunaOracle

HyperModel = keras_tuner.HyperModel | Callable[[keras_tuner.HyperParameters], keras.Model]


_logger = logging.getLogger(__name__)


class OptunaTuner(keras_tuner.Tuner):
    """Searches a KerasTuner `HyperModel` with Optuna, and never trains a network that is over the budget.

    It takes the place of `keras_tuner.RandomSearch`, `BayesianOptimization` or `Hyperband` without a change of the
    `HyperModel` or of the call of `search`. A `SearchSpace` is counted in closed form, before anything is built; any
    other `HyperModel` is built once to be counted.

    Where it differs from KerasTuner's own tuners, besides what `OptunaOracle` lists, and why:

    - The weights that are kept are those of the last epoch, as the score is; of several executions, those of the best.
    - Of several executions the pruner sees the first; a trial that it stops has no further ones.
    - Every trial's training is seeded from the study's seed and its hyperparameters.
    - An InputError ends the search, where KerasTuner would let trial after trial fail of the same wrong input.
    - A worker that KerasTuner's environment variables connect to a chief reports its results alone: the protocol has no
      place for epochs, so nothing is stopped early there. Workers that share a `storage` have no such limit.

    Args:
        hypermodel: a `HyperModel`, a `SearchSpace`, or a function from hyperparameters to a compiled model.
        objective: the name of a metric, a `keras_tuner.Objective`, or a list of them (their signed sum).
        max_trials: trained trials of the study in all; see `OptunaOracle`.
        budget: the most parameters a network may have in all, or a `Budget`; None for no limit.
        pareto, minimize, reach: other goals than one objective; see `OptunaOracle`.
        sampler, pruner, storage, study_name, infeasible, seed, identity, observers: see `OptunaOracle`.
        tracking_uri: of MLflow, where every trial is recorded, such as "sqlite:///mlruns/mlflow.db". None: the variable
            MLFLOW_TRACKING_URI, and nothing is recorded without it; empty: nothing in any case. The experiment is named
            by the variable MLFLOW_EXPERIMENT_NAME, else after the study.
        hyperparameters, tune_new_entries, allow_new_entries, max_retries_per_trial, max_consecutive_failed_trials,
            directory, project_name: as in KerasTuner.
        overwrite: begin anew: the project's folder is deleted, and the study when it is kept there. A study in a
            `storage` that was given stays, and goes on.
        kwargs: what else `keras_tuner.Tuner` takes: executions_per_trial, optimizer, loss, metrics, max_model_size,
            distribution_strategy, tuner_id.

    Raises InputError for an argument that is not allowed, at the start, and StudyError when the study has another
    identity.
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
        pruner: str | BasePruner | None = None,
        pareto: Sequence[str | keras_tuner.Objective] | None = None,
        minimize: str | None = None,
        reach: Mapping[str, float] | None = None,
        storage: str | Path | BaseStorage | None = None,
        study_name: str | None = None,
        infeasible: Infeasible = "hide",
        seed: int | None = None,
        tracking_uri: str | None = None,
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
        **kwargs: Any,
    ) -> None:
        if hypermodel is None and type(self).run_trial is OptunaTuner.run_trial:
            raise ValueError("Received `hypermodel=None`: give a hypermodel, or a subclass with a run_trial of its own")
        oracle = OptunaOracle(
            objective,
            max_trials,
            seed=seed,
            budget=budget,
            sampler=sampler,
            pruner=pruner,
            pareto=pareto,
            minimize=minimize,
            reach=reach,
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
        if hypermodel is not None and (oracle.counted or isinstance(hypermodel, SearchSpace)):
            oracle.measure = self.measure
        self._budget, self._counted = oracle.budget, oracle.counted
        self._tracking_uri = os.environ.get("MLFLOW_TRACKING_URI") if tracking_uri is None else tracking_uri
        self._recorder: TrackingObserver | None = None
        self._batch: tuple[Sequence[int | None], str] | None = None
        super().__init__(
            oracle=oracle,
            hypermodel=hypermodel,
            directory=directory,
            project_name=project_name,
            overwrite=overwrite,
            **kwargs,
        )

    # The space

    def _populate_initial_space(self) -> None:
        if isinstance(self.hypermodel, SearchSpace):
            # Its hyperparameters are declared without building a network, which might be over the budget.
            space = self.oracle.get_space()
            self.hypermodel.declare_hyperparameters(space)
            self.oracle.update_space(space)
        else:
            super()._populate_initial_space()
        self.oracle.declared = self.oracle.parameter_space.describe()

    def reload(self) -> None:
        """Go on with the project in the folder; raises StudyError when the space has changed."""
        if isinstance(self.oracle, OptunaOracle) and self.oracle.declared is None:
            self._populate_initial_space()  # KerasTuner leaves it out here, and would not notice another space
        super().reload()

    def measure(self, hp: keras_tuner.HyperParameters) -> Size | None:
        """The size of the network at `hp`: in closed form if the space has one, else by building it.

        None where it cannot be built. Raises InfeasibleArchitecture where the layers do not fit the input, and
        SpaceError when the network has no parameters to count before it sees data, or cannot be counted otherwise.
        """
        if isinstance(self.hypermodel, SearchSpace):
            architecture = self.hypermodel.architecture(hp)
            counted = cost(architecture)
            return Size(counted.params, counted.macs, counted.peak_activation_bytes, architecture.summary)
        keras.utils.clear_session(free_memory=False)  # a full collection takes longer than building
        try:
            model: Any = self._build_hypermodel(hp)
        except (FatalError, KerastunaError):
            raise
        except Exception as error:
            # Building it for training fails in the same way, and that is where the failure is recorded.
            _logger.info("a network could not be counted, as it cannot be built: %s", error)
            return None
        if not isinstance(model, keras.Model):
            return None
        size = self._count(model)
        if size is None:
            raise SpaceError(
                f"{model.name} has no input shape, so its parameters cannot be counted: begin it with keras.Input(...)"
            )
        return size

    def _count(self, model: keras.Model) -> Size | None:
        if _waits_for_data(model):
            if self._batch is None:
                return None
            try:
                _build(model, *self._batch)
            except Exception as error:
                raise SpaceError(
                    f"{model.name} cannot be built for inputs of shape {self._batch[0]}, so its parameters cannot be "
                    "counted: begin it with keras.Input(...)"
                ) from error
        return model_size(model, limits=self._counted)

    def _try_build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        model: Any = super()._try_build(hp)
        size = None if self._budget is None else self._count(model)
        if self._budget is not None and size is not None and not self._budget.allows(size):
            raise OverBudget(
                f"the model that was built has {self._budget.complaint(size)}: let build(hp) depend on nothing but hp"
            )
        return model

    # The search

    def enqueue(self, values: Mapping[str, Any] | keras_tuner.HyperParameters, name: str | None = None) -> None:
        """Try these hyperparameters next; several are tried in the order in which they were enqueued.

        They are held to the budget like any other proposal, and refused when they were tried before.

        Args:
            values: of every active hyperparameter, by name, or as `keras_tuner.HyperParameters`.
            name: of the network, for the leaderboard and the records.

        Raises SpaceError for a value that is missing, outside the space, or of no hyperparameter in it.
        """
        given = values.values if isinstance(values, keras_tuner.HyperParameters) else values
        known = {hp.name for hp in self.oracle.hyperparameters.space}
        if unknown := sorted(given.keys() - known):
            raise SpaceError(
                f"{', '.join(map(repr, unknown))} is no hyperparameter of the space, which has "
                f"{', '.join(sorted(known)) or 'none yet'}: correct the name"
            )
        self.oracle.enqueue(given, name)

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Search until the study has `max_trials`; takes what `model.fit` takes.

        With `verbose=0` nothing is printed. An interruption (Ctrl-C) fails the trial that is running, keeps everything
        else, and is raised again; so does every other error that ends the search.
        """
        self._batch = _batch_of(kwargs.get("x", args[0] if args else None))
        if not isinstance(self.oracle, OptunaOracle):
            super().search(*args, **kwargs)
            return
        self.oracle.set_epochs(kwargs.get("epochs"))
        self._start_recording()
        with observed(self.oracle.observers, self.oracle.study, self.settings(kwargs.get("epochs"))):
            self._search(*args, **kwargs)

    def _search(self, *args: Any, **kwargs: Any) -> None:
        debug, reason = keras_tuner_config.DEBUG, "timeout"
        keras_tuner_config.DEBUG = debug and kwargs.get("verbose") != 0  # it prints every traceback
        try:
            super().search(*args, **kwargs)
        except BaseException as error:
            reason = failure_reason(error)
            if isinstance(error, FatalError) and isinstance(error.__cause__, InputError):
                raise error.__cause__ from None
            raise
        finally:
            keras_tuner_config.DEBUG = debug
            self.oracle.abandon_all(reason)

    def settings(self, epochs: int | None) -> dict[str, Any]:
        """What the search is asked to do, by name, for observers."""
        oracle = self.oracle
        settings = {"max_trials": oracle.max_trials, "epochs": epochs, "seed": oracle.seed}
        if oracle.budget is not None:
            settings["budget"] = str(oracle.budget)
        return settings | (oracle.goal.description() or {})

    def _start_recording(self) -> None:
        """Add an observer that records in MLflow, where that was asked for; raises InputError."""
        if self._tracking_uri and self._recorder is None:
            experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self.oracle.study.study_name
            artifacts = Path(self.project_dir) / "artifacts"
            self._recorder = open_recorder(
                self._tracking_uri, experiment, artifacts, tags=software(), warn=_logger.warning
            )
            self.oracle.observers = (*self.oracle.observers, self._recorder)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Train the model at `trial.hyperparameters`, `executions_per_trial` times; returns a result for each."""
        callbacks = kwargs.pop("callbacks", None) or []
        seed = self._seed_of(trial)
        results: list[Any] = []
        best: float | None = None
        for execution in range(self.executions_per_trial):
            reporter = self._reporter(trial, execution)
            own = self._deepcopy_callbacks(callbacks)
            self._configure_tensorboard_dir(own, trial, execution)
            own += [tuner_utils.TunerCallback(self, trial), reporter]
            keras.utils.set_random_seed((seed + execution) % 2**32)
            try:
                results.append(self._build_and_fit_model(trial, *args, **kwargs, callbacks=own))
                if reporter.failure is not None:
                    raise reporter.failure
            except InputError as error:
                raise FatalError(str(error)) from error
            except Exception as error:
                self._note(trial, reporter, execution, reason=failure_reason(error))
                raise
            self._note(trial, reporter, execution)
            objective = self.oracle.objective
            score = final_metrics(results[-1], objective)[0].get(objective.name)
            if reporter.model is not None and (best is None or score is None or objective.better_than(score, best)):
                best = score
                reporter.model.save_weights(self._get_checkpoint_fname(trial.trial_id))
            if reporter.stopped:
                break
        return results

    def _run_and_update_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> None:
        results = self.run_trial(trial, *fit_args, **fit_kwargs)
        objective = self.oracle.objective
        if self.oracle.get_trial(trial.trial_id).metrics.exists(objective.name):
            return  # `run_trial` has called `oracle.update_trial` itself, which KerasTuner allows
        tuner_utils.validate_trial_results(results, objective, "Tuner.run_trial()")
        metrics, step = final_metrics(results, objective)
        self.oracle.update_trial(trial.trial_id, metrics, step=step)

    def _reporter(self, trial: Any, execution: int) -> EpochReporter:
        names = tuple(getattr(self.oracle.objective, "name_to_direction", [self.oracle.objective.name]))
        if not isinstance(self.oracle, OptunaOracle):  # a worker of KerasTuner's own kind
            return EpochReporter(lambda epoch, metrics: False, names)

        def report(epoch: int, metrics: EpochMetrics) -> bool:
            return execution == 0 and self.oracle.report(trial.trial_id, epoch, metrics)

        return EpochReporter(report, names, self.oracle.deadline)

    def _note(self, trial: Any, reporter: EpochReporter, execution: int, reason: str | None = None) -> None:
        if isinstance(self.oracle, OptunaOracle):
            if execution == 0:
                self.oracle.note_training(trial.trial_id, reporter.history)
            self.oracle.note(trial.trial_id, reason=reason)

    def _seed_of(self, trial: Any) -> int:
        oracle = self.oracle if isinstance(self.oracle, OptunaOracle) else self.oracle._oracle
        return oracle.seed_of(trial)

    def load_model(self, trial: Any) -> keras.Model:
        """The model of `trial` with the weights of its last epoch; raises StudyError where they were not kept."""
        path = Path(self._get_checkpoint_fname(trial.trial_id))
        if not path.exists():
            raise StudyError(
                f"trial {trial.trial_id} has no weights in {str(path.parent)!r}: give the directory and project_name "
                "that it was trained with, or train its hyperparameters again"
            )
        model: Any = self._try_build(trial.hyperparameters)
        if _waits_for_data(model):
            config = json.loads(Path(self._get_build_config_fname(trial.trial_id)).read_text())
            if isinstance(config.get("input_shape"), list) and not isinstance(config["input_shape"][0], list):
                _build(model, config["input_shape"])
            else:  # several inputs
                model.build_from_config(config)
        with maybe_distribute(self.distribution_strategy):
            model.load_weights(path, objects_to_skip=[model.optimizer])  # a new optimizer has no place for its state
        return model

    def _configure_tensorboard_dir(self, callbacks: list[Any], trial: Any, execution: int = 0) -> None:
        if importlib.util.find_spec("tensorboard") is not None:
            super()._configure_tensorboard_dir(callbacks, trial, execution)
            return
        # KerasTuner would import tensorboard, which TensorFlow no longer brings, and every trial would fail.
        for callback in callbacks:
            if type(callback).__name__ == "TensorBoard":
                callback.log_dir = self._get_tensorboard_dir(callback.log_dir, trial.trial_id, execution)


def _batch_of(x: Any) -> tuple[Sequence[int | None], str] | None:
    """Shape and dtype of a batch of `x`, an array or a `tf.data.Dataset`; None where it is not one array."""
    if (element := getattr(x, "element_spec", None)) is not None:
        x = element[0] if isinstance(element, tuple) else element
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        return None
    return (None, *x.shape[1:]), keras.backend.standardize_dtype(x.dtype)


def _waits_for_data(model: keras.Model) -> bool:
    """Whether layers of `model` have no parameters yet, which could neither be counted nor loaded."""
    return not model.built or any(not layer.built for layer in model._flatten_layers())


def _build(model: keras.Model, shape: Sequence[int | None], dtype: str = "float32") -> None:
    """Build all of `model` by a symbolic call: a `build` of its own may leave its layers to the first call."""
    model(keras.Input(batch_shape=tuple(shape), dtype=dtype))
