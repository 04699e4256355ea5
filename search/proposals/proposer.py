"""From the sampler to a trial worth training: propose, hold to the budget, record what is refused, claim the rest."""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, final

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from ...spaces.errors import InfeasibleArchitecture
from ..errors import SearchFailed
from ..study.attributes import HYPERPARAMETERS, LAST_SEEN, LIMITS, REASON, SAMPLER_STATE, WORKER, is_rejection
from ..study.budget import Budget, Size
from ..study.liveness import this_worker
from ..study.seeds import derive_seed
from .claims import Claim
from .distributions import ParameterSpace, Values
from .grid import Grid
from .mirror import Mirror
from .samplers import fixed_by, random_sampler, suggest
from .trial_index import Attempts

REFUSALS_IN_A_ROW = 1000
"""So many proposals in a row that do not fit end the search."""


REFUSALS_BEFORE_RANDOM = 20
"""After so many of them every second proposal is random: a sampler that does not see them may go on without end."""


REPEATS_BEFORE_RANDOM = 20
"""After so many proposals that had been settled before, the sampler is passed over for this trial."""


REPEATS_IN_A_ROW = 100
"""So many of them mean that a large space is exhausted."""


LONGEST_WAIT = 0.05
"""Seconds, before a process tries again that withdrew a claim because another made one at the same time."""


Infeasible = Literal["hide", "learn"]


@final
@dataclass(frozen=True)
class _Verdict:
    """Of a proposal; `reason` is None for one that may be trained, `repeated` true when it was refused before."""

    reason: str | None = None
    size: Size | None = None
    message: str = ""
    excess: Mapping[str, float] = field(default_factory=dict)
    repeated: bool = False
    limits: Sequence[str] = ()

    def attributes(self, values: Values) -> dict[str, Any]:
        attributes: dict[str, Any] = {HYPERPARAMETERS: dict(values)}
        if self.reason:
            attributes[REASON] = self.reason
        if self.message:
            attributes["message"] = self.message
        if self.limits:
            attributes[LIMITS] = list(self.limits)
        if self.size is not None:
            attributes |= vars(self.size)
        return attributes


@final
class Proposer:
    """Makes the trials of one study.

    Several processes may do so at the same time. A claim is a trial that is RUNNING in the storage, made at one stroke
    and looked at once more: whoever finds that others came first, for the same values or the last place, steps back.

    Args:
        study: in the storage.
        sampler: from a proposal's number to the sampler that makes it.
        seed: of the study.
        budget: None for no limits.
        measure: the size of the network at some values, without or, failing that, by building it. May raise
            InfeasibleArchitecture. None where it cannot be told.
        infeasible: "hide" refused proposals from the sampler, or let it "learn" from them.
        refused: called with every proposal that was refused, as it stands in the study.
        demands: names of the constraints that belong to the objective.
    """

    def __init__(
        self,
        study: optuna.Study,
        sampler: Callable[[int], BaseSampler],
        seed: int,
        *,
        budget: Budget | None,
        measure: Callable[[Values], Size | None] | None,
        infeasible: Infeasible = "hide",
        refused: Callable[[FrozenTrial], None] = lambda trial: None,
        demands: Collection[str] = (),
    ) -> None:
        self._study = study
        self._storage = study._storage
        self._seed = seed
        self._budget = budget
        self._measure = measure
        self._tell_of_refusal = refused
        self._mirror = Mirror(
            study.directions,
            sampler,
            learn_rejections=infeasible == "learn",
            is_rejection=is_rejection,
            demands=demands,
        )
        self._grid = sampler if isinstance(sampler, Grid) else None
        self._fixed = fixed_by(sampler(0))
        self._attempts = Attempts(study, self._fixed)

    def next(self, space: ParameterSpace, max_trials: int | None) -> Claim | None:
        """Claim the next trial to train; None when the study has `max_trials` or the space is exhausted.

        Trials that are enqueued come first, and are held to the budget like any other. Raises SearchFailed after 1,000
        refusals in a row, and when nothing in the space fits.
        """
        refusals, repeats, repeats_in_a_row = 0, 0, 0
        while True:
            self._take_note()
            if self._attempts.is_full(max_trials):
                return None
            left = None if self._grid else self._attempts.points_left(space)
            if self._attempts.is_waiting():
                outcome = self._take_enqueued(space, max_trials)
            elif self._grid is not None:
                if (point := self._grid.next(space, self._attempts.is_settled)) is None:
                    return self._end_exhausted()
                outcome = self._settle(point, *space.encode(point), None, max_trials)
                refusals = repeats_in_a_row = 0  # the grid has an end
            elif left is not None and not left:
                return self._end_exhausted()
            elif left is not None and repeats >= REPEATS_BEFORE_RANDOM:
                outcome = self._take_one_of(left, space, max_trials)
                refusals = 0  # the list has an end
            else:
                stuck = refusals >= REFUSALS_BEFORE_RANDOM and refusals % 2 == 0
                at_random = stuck or repeats_in_a_row >= REPEATS_BEFORE_RANDOM
                outcome = self._propose(space, max_trials, at_random=at_random)
            if isinstance(outcome, Claim):
                return outcome
            if outcome is None:
                continue
            refusals += outcome.reason != "duplicate"
            repeats += outcome.repeated
            repeats_in_a_row = repeats_in_a_row + 1 if outcome.repeated else 0
            if refusals >= REFUSALS_IN_A_ROW:
                raise SearchFailed(self._nothing_fits(f"{REFUSALS_IN_A_ROW:,} proposals in a row"))
            if repeats_in_a_row >= REPEATS_IN_A_ROW:
                return self._end_exhausted()

    def _take_note(self) -> None:
        self._mirror.sync(self._attempts.take_note())

    def _propose(self, space: ParameterSpace, max_trials: int | None, *, at_random: bool) -> Claim | _Verdict | None:
        number = len(self._attempts)
        proposal = self._mirror.ask(number, self._random_sampler(number) if at_random else None)
        values = space.fill(partial(suggest, proposal))
        return self._settle(values, proposal.params, proposal.distributions, proposal, max_trials)

    def _take_one_of(
        self, left: Sequence[Values], space: ParameterSpace, max_trials: int | None
    ) -> Claim | _Verdict | None:
        values = left[derive_seed(self._seed, "left", len(self._attempts)) % len(left)]
        return self._settle(values, *space.encode(values), None, max_trials)

    def _settle(
        self,
        values: Values,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        proposal: optuna.Trial | None,
        max_trials: int | None,
    ) -> Claim | _Verdict | None:
        """Write the proposal into the study, refused or claimed; None for a claim that was withdrawn."""
        verdict = self._judge(values)
        attributes = verdict.attributes(values)
        if verdict.reason is None:
            attributes |= {WORKER: this_worker(), LAST_SEEN: time.time()}
            if proposal is not None and (state := self._mirror.state(proposal)):
                attributes[SAMPLER_STATE] = state
        trial = optuna.trial.create_trial(
            state=TrialState.PRUNED if verdict.reason else TrialState.RUNNING,
            params=params,
            distributions=distributions,
            user_attrs=attributes,
            constraints=dict(verdict.excess),
        )
        storage_id = self._storage.create_new_trial(self._study._study_id, template_trial=trial)
        number = self._storage.get_trial_number_from_id(storage_id)
        if verdict.reason:
            if proposal is not None:
                self._mirror.refuse(proposal, number, verdict.excess)
            self._tell_of_refusal(self._storage.get_trial(storage_id))
            return verdict
        if proposal is not None:
            self._mirror.accept(proposal, number, verdict.excess)
        self._take_note()
        if self._attempts.is_full(max_trials, before=number):
            return self._withdraw(storage_id)
        return self._keep(Claim(number, storage_id, values, verdict.size), verdict)

    def _take_enqueued(self, space: ParameterSpace, max_trials: int | None) -> Claim | _Verdict | None:
        storage_id = self._study._pop_waiting_trial_id()
        if storage_id is None:
            return None  # another process was faster
        try:
            return self._settle_enqueued(storage_id, space, max_trials)
        except UpdateFinishedTrialError:
            return None  # sqlite may have given it to two processes, of which the other was faster

    def _settle_enqueued(
        self, storage_id: int, space: ParameterSpace, max_trials: int | None
    ) -> Claim | _Verdict | None:
        self._storage.set_trial_user_attr(storage_id, WORKER, this_worker())
        self._storage.set_trial_user_attr(storage_id, LAST_SEEN, time.time())
        self._take_note()
        number = self._storage.get_trial_number_from_id(storage_id)
        if self._attempts.is_full(max_trials, without=number):
            return self._withdraw(storage_id)
        self._study.sampler = self._random_sampler(number)  # for what was left open when it was enqueued
        trial = optuna.Trial(self._study, storage_id)
        values: Values = {}
        try:
            values = space.fill(partial(suggest, trial))
            space.encode(values)
        except ValueError as error:
            verdict = _Verdict("infeasible", message=f"enqueued with values that are not in the space: {error}")
        else:
            verdict = self._judge(values, number)
        standing = self._storage.get_trial(storage_id)
        if standing.user_attrs[WORKER] != this_worker():
            return None  # sqlite again: the last to write has it
        for key, value in verdict.attributes(values).items():
            trial.set_user_attr(key, value)
        for name in verdict.excess.keys() - standing.constraints.keys():
            trial.set_constraint(name, verdict.excess[name])
        if verdict.reason:
            self._tell_of_refusal(self._study.tell(trial, state=TrialState.PRUNED))
            return verdict
        self._take_note()
        return self._keep(Claim(number, storage_id, values, verdict.size), verdict)

    def _keep(self, claim: Claim, verdict: _Verdict) -> Claim | _Verdict:
        """The claim, or the refusal of what another process has claimed at the same time."""
        if self._attempts.trial_of(claim.values) == claim.number:
            return claim
        verdict = self._duplicate(claim.values, verdict.size)
        for key, value in verdict.attributes(claim.values).items():
            self._storage.set_trial_user_attr(claim.storage_id, key, value)
        self._tell_of_refusal(self._study.tell(claim.number, state=TrialState.PRUNED))
        return verdict

    def _withdraw(self, storage_id: int) -> None:
        """Another process has taken the last place. The trial waits, for a search that asks for more of them."""
        self._storage.set_trial_state_values(storage_id, TrialState.WAITING)
        time.sleep(random.Random().uniform(0, LONGEST_WAIT))  # two that stepped back for each other meet no more

    def _judge(self, values: Values, number: int | None = None) -> _Verdict:
        if self._attempts.trial_of(values) not in (None, number):
            return self._duplicate(values)
        if self._measure is None:
            return _Verdict()
        repeated = self._attempts.was_refused(values)
        try:
            size = self._measure(values)
        except InfeasibleArchitecture as error:
            return _Verdict("infeasible", message=str(error), repeated=repeated)
        if size is None or self._budget is None:
            return _Verdict(size=size)
        verdict = _Verdict(size=size, excess=self._budget.excess(size))
        if self._budget.allows(size):
            return verdict
        message, limits = self._budget.complaint(size), self._budget.broken(size)
        return replace(verdict, reason="over_budget", message=message, repeated=repeated, limits=limits)

    def _duplicate(self, values: Values, size: Size | None = None) -> _Verdict:
        message = f"same hyperparameters as trial {self._attempts.trial_of(values)}"
        return _Verdict("duplicate", size, message, repeated=True)

    def _random_sampler(self, number: int) -> BaseSampler:
        return random_sampler(derive_seed(self._seed, "random", number), self._fixed)

    def _end_exhausted(self) -> None:
        if not self._attempts.any_tried():
            raise SearchFailed(self._nothing_fits("all networks of the space"))

    def _nothing_fits(self, proposals: str) -> str:
        refused = self._attempts.least_refused()
        if not refused or self._budget is None:
            return (
                f"{proposals} were infeasible: the layers do not fit the input; make the space shallower or the images "
                "larger"
            )
        least = "the smallest had" if len(self._budget.limits) == 1 else "the least of each was"
        return (
            f"{proposals} did not fit {self._budget}; {least} {self._budget.amounts(refused)}: raise the "
            "budget to at least that, or let the space reach smaller networks"
        )
