"""What an oracle has of its Optuna study: how it is opened, and what is read from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import optuna
from keras_tuner.engine.trial import Trial
from optuna.trial import FrozenTrial

from ..proposals.claims import Claim
from ..proposals.distributions import ParameterSpace, Values, values_key
from ..study.attributes import HYPERPARAMETERS, NAME, is_trained
from ..study.budget import Size
from ..study.events import Announcer
from ..study.liveness import runs_here
from ..study.seeds import derive_seed
from ..study.stored_study import StoredStudy
from ..study.study_id import id_of, own_folder
from .fixed import with_fixed
from .goal_arguments import metric_for
from .hyperparameters import share_hyperparameters
from .keras_tuner_fixes import MendedOracle
from .keras_tuner_trials import keras_tuner_trial, trial_id_of, warn_of_other_trials
from .parallel import Relay
from .settings import KERAS_TUNER_ARGUMENTS, Measure, OpenStudy, OracleArguments, StudySettings, study_settings

TRIALS = "trial_*/*"
"""What trials leave in a project's folder."""


class StudyOracle(MendedOracle):
    """The base of `OptunaOracle`, which describes the arguments; abstract, as `keras_tuner.Oracle` is."""

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        measure: Measure | None = None,
        is_closed_form: bool = False,
        **arguments: Unpack[OracleArguments],
    ) -> None:
        if unknown := sorted(arguments.keys() - OracleArguments.__annotations__.keys()):
            raise TypeError(f"{type(self).__name__} got an unexpected argument {unknown[0]!r}")
        inherited: Any = {name: value for name, value in arguments.items() if name in KERAS_TUNER_ARGUMENTS}
        if (given := inherited.get("hyperparameters")) is not None:
            inherited["hyperparameters"] = (
                given.copy()
            )  # to which is added what shows up; another tuner may take `given`
        super().__init__(
            objective=metric_for(objective, arguments.get("pareto"), arguments.get("reach")),
            max_trials=max_trials,
            seed=arguments.get("seed"),
            **inherited,
        )
        self.settings: StudySettings = study_settings(self.objective, arguments)
        self.goal, self.budget = self.settings.goal, self.settings.budget
        if self.settings.seed is not None:
            self.seed = self.settings.seed  # KerasTuner draws one for 0 as well
        self._measure, self._is_closed_form = measure, is_closed_form
        self._announcer = Announcer(arguments.get("observers", ()))
        self.declared: list[dict[str, Any]] | None = None
        self._open: OpenStudy | None = None
        self._space: ParameterSpace | None = None
        self._claims: dict[str, Claim] = {}

    @property
    def study(self) -> optuna.Study:
        """The Optuna study, opened or made at the first use; raises StudyError when that fails."""
        return self._opened.stored.study

    @property
    def project_folder(self) -> Path:
        """Where the project is kept: of this study, once that is open, and of no other one of its name."""
        return Path(self._project_dir)

    @property
    def stored(self) -> StoredStudy:
        """The study with its storage."""
        return self._opened.stored

    @property
    def _opened(self) -> OpenStudy:
        if self._open is not None:
            return self._open
        in_folder = getattr(self, "_directory", None) is not None
        self._open = self.settings.open(
            Path(self._project_dir) if in_folder else None,
            getattr(self, "_project_name", None),
            self.seed,
            space=self.parameter_space,
            declared=self.declared,
            size_at=None if self._measure is None else self._size_at,
            is_closed_form=self._is_closed_form,
            announcer=self._announcer,
        )
        self.seed = self._open.seed
        if in_folder and (owner := id_of(self._open.stored.study.user_attrs)) is not None:
            # Another study of this name, of another storage, may have the project's folder.
            own = own_folder(Path(str(self._directory)), self._project_name, owner, TRIALS)
            self._project_name = own.name
        self.take_over()
        return self._open

    @property
    def _trials(self) -> list[FrozenTrial]:
        return self._opened.stored.trials()

    def relay(self, trial_timeout: float | None = None) -> Relay:
        """What hands on the reports of workers to the observers of the search that runs.

        Args:
            trial_timeout: seconds that a trial may take; None for no limit.
        """
        return Relay(self._opened.stored, self._announcer, trial_timeout)

    def declare_space(self, fixed: Mapping[str, Any] | None = None) -> None:
        """Let what is known of the space identify the study, before it is opened; `fixed` values, by name, stay."""
        self.fix(fixed or {})
        self.declared = self.parameter_space.describe()

    def fix(self, values: Mapping[str, Any]) -> None:
        """Let these hyperparameters have one value, by name; raises SpaceError for what is not in the space."""
        if values:
            self.hyperparameters, self._space = with_fixed(self.hyperparameters, values), None

    def take_over(self) -> None:
        """Learn what other processes have found: their trials, and the hyperparameters that showed up."""
        share_hyperparameters(self.study, self.hyperparameters)
        self._restore()

    def _restore(self) -> None:
        """Take over the trained trials of the study, of all processes, as trials of KerasTuner."""
        for trial in filter(is_trained, self._trials):
            if (trial_id := trial_id_of(trial.number)) not in self.trials:
                self.trials[trial_id] = keras_tuner_trial(trial, self.get_space(), self.objective)
                self.start_order.append(trial_id)
                self.end_order.append(trial_id)

    def reload(self) -> None:
        """Go on with a project. Everything is read from the study; KerasTuner's own files are not read."""
        folder = Path(self._project_dir)
        if not self._trials:
            warn_of_other_trials(folder)
        self._restore()
        self.ongoing_trials = {}
        for trial in self._trials:
            trial_id, values = trial_id_of(trial.number), trial.user_attrs.get(HYPERPARAMETERS)
            # Reloaded within one process it keeps its id, unless it was only taken from the queue.
            if runs_here(trial) and values is not None and trial_id not in self._retry_queue:
                self._claims[trial_id] = Claim(self._opened.stored, self._announcer, trial.number, values)
                self.trials[trial_id] = Trial(self._at(values), trial_id)
                self._retry_queue.append(trial_id)

    # The space

    @property
    def parameter_space(self) -> ParameterSpace:
        """The hyperparameters known by now, as Optuna sees them."""
        if self._space is None or len(self._space) != len(self.hyperparameters.space):
            self._space = ParameterSpace(self.hyperparameters.space)
        return self._space

    def training_seed(self, values: Values) -> int:
        """The seed that a trial with these values is trained with: the same on every retry and in every process."""
        return derive_seed(self.seed, "training", values_key(values))

    def _size_at(self, values: Values) -> Size | None:
        assert self._measure is not None
        return self._measure(self._at(values), self.settings.counted)

    def enqueue(self, values: Values, name: str | None = None) -> None:
        """Let the next trial be the one with `values`; raises SpaceError when they are not in the space."""
        parameters, _ = self.parameter_space.encode(values)
        self.study.enqueue_trial(parameters, user_attrs={} if name is None else {NAME: name})
