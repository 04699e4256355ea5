"""The in-memory copy of a study that the sampler works on."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import final

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..study.attributes import SAMPLER_STATE
from ..study.stored_study import StoredStudy
from ..study.studies import quiet_optuna


@final
class Mirror:
    """A study in memory that holds what the sampler may learn from, and nothing else.

    It holds trained and running trials. Failures, and proposals that the budget refused, are failed trials here:
    samplers ignore those. Refusals are decided before anything is trained. A sampler that saw them would learn the
    budget instead of the objective. While one process works alone, every trial has its number of the study here.

    Args:
        directions: of the objectives.
        sampler: from a proposal's number to the sampler that makes it.
        learn_rejections: show refused proposals to the sampler as infeasible ones, with their constraint values.
        is_rejection: whether a pruned trial of the storage is a refused proposal.
        demands: names of the constraints that belong to the objective, which the sampler sees in every trial.
    """

    def __init__(
        self,
        directions: Sequence[StudyDirection],
        sampler: Callable[[int], BaseSampler],
        *,
        learn_rejections: bool,
        is_rejection: Callable[[FrozenTrial], bool],
        demands: Collection[str] = (),
    ) -> None:
        self._storage = InMemoryStorage()
        with quiet_optuna():
            self._study = optuna.create_study(storage=self._storage, directions=list(directions))
        self._stored = StoredStudy(self._study, self._storage)
        self._sampler = sampler
        self._learn_rejections = learn_rejections
        self._is_rejection = is_rejection
        self._demands = demands
        self._twins: dict[int, int] = {}  # number in the storage -> number here, of trials that are not finished here
        self._settled: set[int] = set()  # numbers in the storage that need no more attention

    def sync(self, trials: Iterable[FrozenTrial]) -> None:
        """Update the copy with the present state of these trials of the storage."""
        for trial in trials:
            if trial.number in self._settled or trial.state == TrialState.WAITING:
                continue
            twin = self._twin(trial)
            if trial.state == TrialState.RUNNING:
                if twin is None:
                    self._twins[trial.number] = self._add(trial)
                continue
            if twin is None:
                self._add(trial)
            else:
                self._tell(twin, trial)
            self._twins.pop(trial.number, None)
            self._settled.add(trial.number)

    def ask(self, number: int, sampler: BaseSampler | None = None) -> optuna.Trial:
        """Proposal `number` of the study, from `sampler` if that is given. `accept` or `refuse` it afterwards."""
        self._study.sampler = sampler or self._sampler(number)
        return self._study.ask()

    def proposed(self, proposal: optuna.Trial) -> FrozenTrial:
        """The proposal with its parameters, and with what the sampler noted about it. Do not change it."""
        return self._trial(proposal.number)

    def accept(self, proposal: optuna.Trial, number: int, constraints: Mapping[str, float]) -> None:
        """The storage has taken the proposal as trial `number`."""
        self._constrain(proposal, constraints)
        self._twins[number] = proposal.number

    def refuse(self, proposal: optuna.Trial, number: int, constraints: Mapping[str, float]) -> None:
        """The proposal was refused, and is stored as trial `number`."""
        learn = self._learn_rejections and bool(constraints)
        self._constrain(proposal, constraints)
        self._study.tell(proposal, state=TrialState.PRUNED if learn else TrialState.FAIL)
        self._settled.add(number)

    def _constrain(self, proposal: optuna.Trial, constraints: Mapping[str, float]) -> None:
        if self._learn_rejections:
            for name, value in constraints.items():
                proposal.set_constraint(name, value)

    def _trial(self, number: int) -> FrozenTrial:
        return self._stored.trial(number)

    def _twin(self, trial: FrozenTrial) -> FrozenTrial | None:
        """The unfinished twin of `trial`, if it has one with the same parameters.

        A trial of another program may have been read before all of its parameters were suggested: that twin is dropped.
        """
        if trial.number not in self._twins:
            return None
        twin = self._trial(self._twins[trial.number])
        if twin.params.keys() == trial.params.keys():
            return twin
        self._study.tell(self._twins.pop(trial.number), state=TrialState.FAIL)
        return None

    def _tell(self, twin: FrozenTrial, trial: FrozenTrial) -> None:
        if not self._is_learnt(trial):
            self._study.tell(twin.number, state=TrialState.FAIL)
            return
        for step, value in trial.intermediate_values.items():
            self._storage.set_trial_intermediate_value(self._stored.trial_id(twin.number), step, value)
        if demanded := self._shown_constraints(trial).items() - twin.constraints.items():
            proposal = self._stored.live(twin.number)
            for name, value in demanded:
                proposal.set_constraint(name, value)
        self._study.tell(twin.number, trial.values if trial.state == TrialState.COMPLETE else None, state=trial.state)

    def _add(self, trial: FrozenTrial) -> int:
        if not self._is_learnt(trial):
            number = self._stored.add(None)
            self._stored.set_state(number, TrialState.FAIL)
            return number
        number = self._stored.add(self._copy(trial))
        # A trial that is added is copied deeply, with all of its distributions: half of the time to open a large study.
        # This storage is in memory and belongs to the mirror, so that its trials may be completed where they are.
        twin = self._stored.trial(number)
        twin.params, twin.distributions = trial.params, trial.distributions
        return number

    def _is_learnt(self, trial: FrozenTrial) -> bool:
        if trial.state == TrialState.PRUNED and self._is_rejection(trial):
            return self._learn_rejections and bool(trial.constraints)
        return trial.state != TrialState.FAIL

    def _copy(self, trial: FrozenTrial) -> FrozenTrial:
        """What the sampler may see of `trial`, without its parameters."""
        return optuna.trial.create_trial(
            state=trial.state,
            values=trial.values,
            intermediate_values=trial.intermediate_values,
            system_attrs=dict(trial.user_attrs.get(SAMPLER_STATE, {})),
            constraints=self._shown_constraints(trial),
        )

    def _shown_constraints(self, trial: FrozenTrial) -> dict[str, float]:
        shown = trial.constraints.items()
        return {name: value for name, value in shown if self._learn_rejections or name in self._demands}
