"""What a study is made with: the arguments of a tuner and its oracle, checked, and the study that they open."""

import math
import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, final

import keras_tuner
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, InMemoryStorage

from ..compat.optuna_attributes import change_study_attribute
from ..errors import InputError
from ..proposals.checks import check_pruner, check_sampler
from ..proposals.distributions import ParameterSpace, Values
from ..proposals.narrowing import Narrower
from ..proposals.proposer import Infeasible, Proposer
from ..proposals.pruners import pruner_for
from ..proposals.samplers import sampler_for, uses_cmaes
from ..proposals.start import Start
from ..study.attributes import DRAWN_SEED, IDENTITY
from ..study.budget import Budget, Size
from ..study.events import Announcer, SearchObserver
from ..study.goal import Goal
from ..study.liveness import fail_abandoned_trials
from ..study.names import JOURNAL_NAME, check_study_name
from ..study.storage import open_storage
from ..study.stored_study import StoredStudy
from ..study.studies import open_study
from ..study.waiting import WAIT_SECONDS
from ..training.garbage import collections_paused
from .goal_arguments import goal_for

Measure = Callable[[keras_tuner.HyperParameters, Collection[str]], Size | None]
"""The size of the network at some hyperparameters, with the costs of these names; None where it is not known."""


class OracleArguments(TypedDict, total=False):
    """The keyword arguments of `OptunaOracle`, which `OptunaTuner` takes too. `OptunaOracle` describes each."""

    seed: int | None
    budget: Budget | int | None
    sampler: str | BaseSampler
    pruner: str | BasePruner | None
    pareto: Sequence[str | keras_tuner.Objective] | None
    minimize: str | None
    reach: Mapping[str, float] | None
    storage: str | Path | BaseStorage | None
    study_name: str | None
    infeasible: Infeasible
    identity: Mapping[str, Any] | None
    wait: bool
    observers: Sequence[SearchObserver]
    hyperparameters: keras_tuner.HyperParameters | None
    allow_new_entries: bool
    tune_new_entries: bool
    max_retries_per_trial: int
    max_consecutive_failed_trials: int


class TunerArguments(OracleArguments, total=False):
    """The keyword arguments that `OptunaTuner` hands on: to `OptunaOracle`, and to `keras_tuner.Tuner`."""

    executions_per_trial: int
    max_model_size: int | None
    optimizer: Any
    loss: Any
    metrics: Any
    distribution_strategy: Any
    tuner_id: str | None
    logger: Any


KERAS_TUNER_ARGUMENTS = (
    "hyperparameters",
    "allow_new_entries",
    "tune_new_entries",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
)
"""Those of `OracleArguments` that are KerasTuner's own."""


@final
@dataclass(frozen=True)
class StudySettings:
    """What a study is made with.

    Attributes:
        objective: as KerasTuner understood it.
        goal: what the study is after.
        budget: the limits on a network; None for none.
        sampler, pruner, infeasible: as `OptunaOracle` takes them.
        storage: where the study is; None for a journal in the project's folder.
        study_name: None for the project's name.
        seed: None to draw one.
        identity: what else identifies the study, JSON-able.
        wait: for trials of other processes, while the study is full of them.

    Raises InputError for a value that is not allowed.
    """

    objective: Any
    goal: Goal
    budget: Budget | None = None
    sampler: str | BaseSampler = "tpe"
    pruner: str | BasePruner | None = None
    infeasible: Infeasible = "hide"
    storage: str | Path | BaseStorage | None = None
    study_name: str | None = None
    seed: int | None = None
    identity: Mapping[str, Any] | None = None
    wait: bool = True

    def __post_init__(self) -> None:
        if self.infeasible not in ("hide", "learn"):
            raise InputError(f'infeasible={self.infeasible!r}: give "hide" or "learn"')
        if self.goal.target is not None and uses_cmaes(self.sampler):
            raise InputError("sampler CMA-ES knows no target, and would only shrink the networks: choose another")
        if self.study_name is not None:
            check_study_name(self.study_name, "study_name=")
        sampler_for(self.sampler, 0)
        pruner_for(self.goal, self.pruner, None)

    @property
    def counted(self) -> set[str]:
        """The names of the costs that every network must tell: those that are limited or optimised."""
        return {*(self.budget.limits if self.budget else ()), *self.goal.costs}

    def pruner_of(self, epochs: int | None) -> BasePruner:
        """The pruner for trials of so many epochs."""
        return pruner_for(self.goal, self.pruner, epochs)

    def record(self) -> dict[str, Any]:
        """The settings as plain values, by name, for the record of a search."""
        limits = {} if self.budget is None else self.budget.limits
        return {
            "objective": self.objective.name,
            "sampler": _name(self.sampler),
            "pruner": _name(self.pruner) if self.pruner is not None else "by the goal",
            **{"budget" if name == "params" else f"max_{name}": limit for name, limit in limits.items()},
            **self.goal.settings(),
        }

    @collections_paused()
    def open(
        self,
        folder: Path | None,
        project: str | None,
        seed: int,
        *,
        space: ParameterSpace,
        declared: Any,
        size_at: Callable[[Values], Size | None] | None,
        is_closed_form: bool = False,
        narrows: bool = True,
        announcer: Announcer,
    ) -> "OpenStudy":
        """Open the study, or make it, after its sampler and pruner were tried out.

        Running trials of processes that are gone are failed, and enqueued again.

        Args:
            folder: of the project, where the journal is unless there is another storage; None: in memory.
            project: after which the study is named unless it has a name.
            seed: for a study without a seed of its own.
            space: what is searched.
            declared: the hyperparameters that identify the space, JSON-able; None where they are not known yet.
            size_at: the size of the network at some values; None where nothing is counted.
            is_closed_form: whether that takes no time to speak of. TPE's first proposals are then spread over the
                budget, and its others made to fit it.
            narrows: whether they are made to fit; benchmarks compare the two.
            announcer: of the search.

        Raises InputError when there are limits and nothing to count them, and for a sampler or pruner that cannot serve
        the study; StudyError when the storage cannot be opened or the study has another identity.
        """
        if self.counted and size_at is None:
            raise InputError(
                f"{', '.join(sorted(self.counted))} are limited or optimised, but there is nothing to count them: give "
                "the budget or the goal to an OptunaTuner with a hypermodel"
            )
        check_sampler(sampler_for(self.sampler, seed), self.goal.directions, space)
        pruner = self.pruner_of(None)
        check_pruner(pruner, self.goal.directions)
        journal = InMemoryStorage() if folder is None else folder / JOURNAL_NAME
        opened = open_storage(journal if self.storage is None else self.storage, WAIT_SECONDS)
        study = open_study(
            opened,
            self.study_name or project or "untitled_project",
            directions=self.goal.directions,
            names=self.goal.value_names,
            identity=self._identity(declared),
            pruner=pruner,
            seed=seed,
        )
        if self.seed is None and (known := study.user_attrs[IDENTITY]["seed"]) is not None:
            seed = known
        elif self.seed is None:
            drawn = seed
            seed = change_study_attribute(study, DRAWN_SEED, lambda first: drawn if first is None else first)
        stored = StoredStudy(study, opened)
        fail_abandoned_trials(stored)
        start = narrower = None
        if size_at is not None and is_closed_form and self.sampler == "tpe":
            start = Start(seed, self.budget, size_at, looks_for_small=bool(self.goal.costs))
            if self.budget is not None and narrows and not self.goal.costs:
                narrower = Narrower(self.budget, size_at)
        proposer = Proposer(
            stored,
            sampler_for(self.sampler, seed),
            seed,
            budget=self.budget,
            measure=size_at,
            infeasible=self.infeasible,
            start=start,
            narrower=narrower,
            announcer=announcer,
            demands=self.goal.constraints(0.0).keys(),
        )
        return OpenStudy(stored, proposer, seed)

    def _identity(self, declared: Any) -> dict[str, Any]:
        components = getattr(self.objective, "name_to_direction", None)
        limits = {} if self.budget is None else self.budget.limits
        return {
            "objective": [self.objective.name, self.objective.direction, *([components] if components else [])],
            "goal": self.goal.description(),
            "budget": limits["params"] if limits.keys() == {"params"} else limits or None,
            "seed": self.seed,
            **({} if declared is None else {"hyperparameters": declared}),
            **(self.identity or {}),
        }


@final
@dataclass(frozen=True)
class OpenStudy:
    """A study that was opened: with its storage, what makes its trials, and its seed."""

    stored: StoredStudy
    proposer: Proposer
    seed: int


def study_settings(objective: Any, arguments: OracleArguments) -> StudySettings:
    """The settings that `OptunaOracle` is given; `objective` is what KerasTuner made of the user's.

    Raises InputError for a value that is not allowed.
    """
    own: dict[str, Any] = {
        name: value for name, value in arguments.items() if name in StudySettings.__dataclass_fields__
    }
    own["budget"] = _budget(arguments.get("budget"))
    goal = goal_for(objective, arguments.get("pareto"), arguments.get("minimize"), arguments.get("reach"))
    return StudySettings(objective, goal, **own)


def checked_seconds(seconds: float | None) -> float | None:
    """`trial_timeout` as it was given; raises InputError unless it is a finite number above 0, or None."""
    is_number = isinstance(seconds, numbers.Real) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 0 < seconds < math.inf):
        raise InputError(f"trial_timeout={seconds!r}: give seconds above 0, or None for no limit")
    return seconds


def _budget(budget: Any) -> Budget | None:
    if not (budget is None or isinstance(budget, Budget | numbers.Integral)):
        raise InputError(f"budget={budget!r}: give a whole number of parameters, a Budget, or None")
    return Budget(int(budget)) if isinstance(budget, numbers.Integral) else budget


def _name(chosen: object) -> str:
    return chosen if isinstance(chosen, str) else type(chosen).__name__
