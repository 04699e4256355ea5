"""`OptunaTuner`: KerasTuner's tuner with Optuna's samplers and pruners, and a hard budget."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

import keras
import keras_tuner
from keras_tuner.errors import FatalError

from ...spaces.space import SearchSpace
from ..compat.keras import settings_kept
from ..compat.keras_tuner import distribution, tracebacks_hidden
from ..errors import InputError, OverBudget, SpaceError, StudyError
from ..study.budget import Budget, Size
from ..study.events import SearchObserver
from ..study.names import check_study_name
from ..study.reasons import INTERRUPTED
from ..training.failures import building
from ..training.garbage import forget_trained_networks, old_objects_passed_over
from ..workers.plan import Workers
from ..workers.tasks import Pool
from .failures_in_a_row import FailuresInARow
from .fit_arguments import by_name, epochs_of
from .hyperparameters import share_hyperparameters
from .int8_objective import Int8Objective
from .keras_tuner_trials import trial_id_of
from .measure import NetworkMeasure
from .model_building import load_weights
from .model_size import COUNTED_OF_A_MODEL, check_countable
from .oracle import OptunaOracle
from .parallel import MadeAgain, search_with, shown, worker_observer
from .recording import recorder_of
from .same_networks import check_parameters, check_same_networks
from .settings import OracleArguments, TunerArguments, checked_seconds
from .training_tuner import TrainingTuner
from .trial_checkpoints import TrialCheckpoints

HyperModel = keras_tuner.HyperModel | Callable[[keras_tuner.HyperParameters], keras.Model]


class OptunaTuner(MadeAgain, TrainingTuner):
    """Searches a KerasTuner `HyperModel` with Optuna, and never trains a network that is over the budget.

    It takes the place of `keras_tuner.RandomSearch`, `BayesianOptimization` or `Hyperband` without a change of the
    `HyperModel` or of the call of `search`. A `SearchSpace` is counted in closed form, before anything is built; any
    other `HyperModel` is built once to be counted. docs/keras_tuner.md lists every difference from KerasTuner's own
    tuners, with the reason.

    Args:
        hypermodel: a `HyperModel`, a `SearchSpace`, or a function from hyperparameters to a compiled model.
        objective: the name of a metric, a `keras_tuner.Objective`, or a list of them (their signed sum). With "_int8"
            behind it, as in "val_accuracy_int8", it is measured in int8 at the end of every training; the pruner is
            told the metric in float.
        max_trials: trained trials of the study in all; see `OptunaOracle`.
        tracking_uri: of MLflow, where every trial is recorded, such as "sqlite:///mlruns/mlflow.db". None: the variable
            MLFLOW_TRACKING_URI, and nothing is recorded without it; empty: nothing in any case. The experiment is named
            by the variable MLFLOW_EXPERIMENT_NAME, else after the study.
        trial_timeout: seconds that a trial may take, above 0; None for no limit. It is looked at after every batch of
            Keras's `fit`, and after every epoch. The trial fails then, and is not tried again. A call that never
            returns can only be ended in a search with workers: its worker is ended and started again.
        directory, project_name: as in KerasTuner. The name is checked as that of a study is.
        fixed: values of hyperparameters that are not varied, by name; they belong to the identity of the study. A
            conditional hyperparameter has its value wherever it is active.
        overwrite: begin anew: the project's folder is deleted, and the study when it is kept there. A study in a
            `storage` that was given stays, and goes on. Where there are a chief and workers, only the chief deletes.
        arguments: budget, pareto, minimize, reach, sampler, pruner, storage, study_name, infeasible, seed, identity,
            wait, observers, hyperparameters, tune_new_entries, allow_new_entries, max_retries_per_trial and
            max_consecutive_failed_trials, as `OptunaOracle` describes them; executions_per_trial, optimizer, loss,
            metrics, max_model_size, distribution_strategy and tuner_id, as in `keras_tuner.Tuner`.

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
        tracking_uri: str | None = None,
        trial_timeout: float | None = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        fixed: Mapping[str, Any] | None = None,
        **arguments: Unpack[TunerArguments],
    ) -> None:
        if hypermodel is None and type(self).run_trial is OptunaTuner.run_trial:
            raise ValueError("Received `hypermodel=None`: give a hypermodel, or a subclass with a run_trial of its own")
        if project_name is not None:
            check_study_name(project_name, "project_name=")
        self._trial_timeout = checked_seconds(trial_timeout)
        if (observer := worker_observer()) is not None:  # what concerns the whole search is done where it was started
            arguments["observers"], tracking_uri, overwrite = [observer], "", False
        given = arguments.keys()
        own: Any = {name: arguments[name] for name in given & OracleArguments.__annotations__.keys()}
        rest: Any = {name: arguments[name] for name in given - own.keys()}
        self._measure = NetworkMeasure(hypermodel, lambda hp: self._build_hypermodel(hp))
        measure = None if hypermodel is None else lambda hp, costs: self.measure(hp)
        is_closed_form = isinstance(hypermodel, SearchSpace)
        oracle = OptunaOracle(objective, max_trials, measure=measure, is_closed_form=is_closed_form, **own)
        self._settings = oracle.settings
        self._counts_itself = type(self).measure is not OptunaTuner.measure
        if hypermodel is not None and not is_closed_form and not self._counts_itself:
            check_countable(self._settings.counted)
        self._int8 = Int8Objective(oracle.objective, oracle.settings.goal)
        self._fixed = dict(fixed or {})
        self._tracking_uri = os.environ.get("MLFLOW_TRACKING_URI") if tracking_uri is None else tracking_uri
        self._recorder: SearchObserver | None = None
        super().__init__(
            oracle=oracle,
            hypermodel=hypermodel,
            directory=directory,
            project_name=project_name,
            overwrite=overwrite and not self._is_worker(),  # the folder, with the study, is the chief's
            **rest,
        )
        self._checkpoints = TrialCheckpoints(self, OptunaTuner, self._build_and_fit_model, self._seed_of)

    # The space

    def _populate_initial_space(self) -> None:
        if isinstance(self.hypermodel, SearchSpace):
            # Its hyperparameters are declared without building a network, which might be over the budget.
            space = self.oracle.get_space()
            self.hypermodel.declare_hyperparameters(space)
            self.oracle.update_space(space)
        else:
            super()._populate_initial_space()
        left = self._fixed
        while (late := left.keys() - self._known()) and late != left.keys() and self._is_built_to_be_known:
            self.oracle.fix({name: value for name, value in left.items() if name not in late})
            left = {name: left[name] for name in late}
            super()._populate_initial_space()  # they may show up at these values
        self.oracle.declare_space(left)

    @property
    def _is_built_to_be_known(self) -> bool:
        """Whether hyperparameters may show up only when a network is built."""
        return self.hypermodel is not None and not isinstance(self.hypermodel, SearchSpace)

    def _known(self) -> set[str]:
        return {hp.name for hp in self.oracle.hyperparameters.space}

    @settings_kept()
    def _look_at(self, values: Mapping[str, Any]) -> None:
        """Learn of the hyperparameters that show up when networks are built at these values."""
        hypermodel: Any = self.hypermodel
        known: set[str] = set()
        while values.keys() - self._known() and known != self._known():
            known = self._known()
            space = self.oracle.get_space()
            space.values.update({name: value for name, value in values.items() if name in known})
            with building(values):
                hypermodel.build(space)
            self.oracle.update_space(space)
        share_hyperparameters(self.oracle.study, self.oracle.hyperparameters)

    def reload(self) -> None:
        """Go on with the project in the folder; raises StudyError when the space has changed."""
        if isinstance(self.oracle, OptunaOracle) and self.oracle.declared is None:
            self._populate_initial_space()  # KerasTuner leaves it out here, and would not notice another space
        if not self._is_worker():  # KerasTuner's own files hold nothing that the study lacks
            self.oracle.reload()

    def measure(self, hp: keras_tuner.HyperParameters) -> Size | None:
        """The size of the network at `hp`; a subclass may count in another way.

        It is told in closed form where the space has one. Otherwise the network is built, if any cost is limited or
        optimised. None where it is not known. Raises InfeasibleArchitecture where the layers do not fit the input, and
        SpaceError when the network cannot be counted.
        """
        return self._measure(hp, self._settings.counted)

    @settings_kept()
    def _try_build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        forget_trained_networks()  # before KerasTuner collects garbage
        with building(hp.values):
            model: Any = super()._try_build(hp)
        limits = {} if self._settings.budget is None else self._settings.budget.limits
        limits = {name: limit for name, limit in limits.items() if name in COUNTED_OF_A_MODEL}
        if not limits:
            return model
        budget = Budget(**limits)
        with distribution(self.distribution_strategy):  # counting may make the variables
            size = self._measure.count(model, limits)
        if size is not None and not budget.allows(size):
            raise OverBudget(
                f"the model that was built has {budget.complaint(size)}: let build(hp) depend on nothing but hp"
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
        if given.keys() - self._known() and self._is_built_to_be_known:
            self._look_at(given)
        known = self._known()
        if unknown := sorted(given.keys() - known):
            raise SpaceError(
                f"{', '.join(map(repr, unknown))} is no hyperparameter of the space, which has "
                f"{', '.join(sorted(known)) or 'none yet'}: correct the name"
            )
        self.oracle.enqueue(given, name)

    @settings_kept()
    def search(
        self, *args: Any, deadline: float | None = None, workers: Workers | Pool[Any] = 1, **kwargs: Any
    ) -> None:
        """Search until the study has `max_trials`; takes what `model.fit` takes.

        With `verbose=0` nothing is printed. A trial is not stopped early where neither this call nor the callbacks of
        its training are told the number of epochs. An interruption (Ctrl-C) fails the trial that is running, keeps
        everything else, and is raised again. So is every other error that ends the search.

        Args:
            deadline: begin no epoch after this time, on the clock of `time.monotonic`; None for no limit.
            workers: processes of this machine that train at the same time, or "auto": one for each core, or two for
                each GPU; or workers that run already, such as a `RayPool`. Everything that the search is given must be
                picklable then, and a storage in a file or a database; observers and MLflow are told in this process.
                Only with one worker, this process, does a seed reproduce the proposals.

        Raises InputError for what workers cannot use, and when no metric has the name of the objective, or it is not a
        number: after the first epoch where it is certain by then, else after the first trial.
        """
        self._measure.expect(by_name(args, kwargs).get("x"))
        self._int8.check(args, kwargs)
        try:
            if not isinstance(self.oracle, OptunaOracle):  # a worker of KerasTuner's own kind
                super().search(*args, **kwargs)
                return
            self._checkpoints.clean()
            if worker_observer() is None:
                check_same_networks(self.oracle.study, self.oracle.get_space(), self.measure)
            with (
                old_objects_passed_over(),
                shown(workers != 1 and kwargs.get("verbose", 1), deadline) as watching,
                self.oracle.searching(
                    epochs=epochs_of(args, kwargs),
                    deadline=deadline,
                    observers=[*self._recorders(), *watching, *([] if worker_observer() else [FailuresInARow()])],
                ),
                tracebacks_hidden(kwargs.get("verbose") == 0),
            ):
                if workers == 1:
                    super().search(*args, **kwargs)
                else:
                    self.oracle.abandon_all(INTERRUPTED)  # what was reloaded is for a worker to train
                    left, options = self.remaining_trials, {**kwargs, "verbose": 0}
                    search_with(workers, self, self.oracle.relay(self._trial_timeout), left, deadline, args, options)
                    self.oracle.take_over()
        except FatalError as error:
            if isinstance(error.__cause__, InputError):
                raise error.__cause__ from None
            raise

    def _recorders(self) -> list[SearchObserver]:
        """MLflow as an observer, where recording was asked for; raises InputError when the store cannot be used."""
        if self._tracking_uri and self._recorder is None:
            self._recorder = recorder_of(self._tracking_uri, self.oracle.study.study_name, Path(self.project_dir))
        return [] if self._recorder is None else [self._recorder]

    @property
    def project_dir(self) -> str:
        """The project's folder: of this study, also where another one of its name has the folder of that name."""
        if isinstance(self.oracle, OptunaOracle):
            return str(self.oracle.project_folder)
        return super().project_dir

    def weights_of(self, number: int) -> Path:
        """Where the weights of the trial with this number are kept; the file may be missing."""
        return Path(self._get_checkpoint_fname(trial_id_of(number)))

    def load_trial(self, number: int) -> keras.Model:
        """The model of a trained trial with the weights that its training ended with.

        Raises StudyError when no trained trial has this number, or its weights were not kept.
        """
        trial_id = trial_id_of(number)
        self.oracle.study  # noqa: B018  opens it, which takes over its trained trials
        if trial_id not in self.oracle.trials:
            raise StudyError(f"trial {number} was not trained: give the number of a trained one")
        return self.load_model(self.oracle.trials[trial_id])

    def load_model(self, trial: Any) -> keras.Model:
        """The model of `trial`, as `load_trial` loads it.

        Raises StudyError where its weights were not kept, and SpaceError where they are those of another network than
        its hyperparameters give now.
        """
        weights = self.weights_of(int(trial.trial_id))
        if not weights.exists():
            raise StudyError(
                f"trial {trial.trial_id} has no weights in {str(weights.parent)!r}: give the directory and "
                "project_name that it was trained with, or train its hyperparameters again"
            )
        model: Any = self._try_build(trial.hyperparameters)
        with distribution(self.distribution_strategy):
            try:
                load_weights(model, weights, Path(self._get_build_config_fname(trial.trial_id)))
            except ValueError as error:
                raise SpaceError(
                    f"the weights of trial {int(trial.trial_id)} do not fit the network that its hyperparameters give "
                    "now: put the space back as it was, or search anew"
                ) from error
        if isinstance(self.oracle, OptunaOracle) and not self._counts_itself:
            trials = {trial_id_of(stored.number): stored for stored in self.oracle.study.get_trials(deepcopy=False)}
            if (stored := trials.get(trial.trial_id)) is not None:  # else it was made by hand
                check_parameters(model, stored)
        return model
