"""From the sampler to a trial worth training: propose, hold to the budget, record refusals, claim a trial."""

import math
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, final

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from ..errors import SearchFailed
from ..study.attributes import NARROWED_FROM, SAMPLER_STATE, is_rejection
from ..study.budget import Budget, Size
from ..study.events import Announcer
from ..study.liveness import Watch, claim_attributes, fail_abandoned_trials, is_foreign, runs_here
from ..study.records import full_record
from ..study.retries import Retries, retry
from ..study.seeds import derive_seed
from ..study.stored_study import StoredStudy
from .claims import Claim
from .distributions import ParameterSpace, Values
from .grid import Grid
from .mirror import Mirror
from .narrowing import Narrower
from .samplers import AtNumber, fixed_by, random_sampler, suggest
from .start import FIRST_TRIALS, Start
from .trial_index import TrialIndex
from .verdicts import Judge, Verdict

REFUSALS_IN_A_ROW = 1000
"""After this many refused proposals in a row the search ends: hardly anything that fits is left, or nothing fits."""
REFUSALS_BEFORE_RANDOM = 20
"""After this many, every second proposal is random: a sampler that does not see refusals may repeat them for ever."""
REPEATS_BEFORE_RANDOM = 20
"""After this many proposals that were settled before, this trial is chosen without the sampler."""
REPEATS_IN_A_ROW = 100
"""After this many in a row a large space counts as exhausted."""
LONGEST_WAIT = 0.05
"""Seconds to wait before trying again when two processes claimed a trial at the same time."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at a study that is full of trials that others train."""

Infeasible = Literal["hide", "learn"]


@final
class Proposer:
    """Makes the trials of one study.

    Several processes may do so at the same time. A claim is a trial that is RUNNING in the storage. It is written in
    one step and then checked: a process that finds that another one claimed the same values, or the last place, before
    it withdraws its own claim.

    Args:
        stored: the study.
        sampler: from a proposal's number to the sampler that makes it.
        seed: of the study.
        budget: the limits; None for none.
        measure: the size of the network at some values, or None where it is not known. May raise
            InfeasibleArchitecture. None where nothing can be counted.
        infeasible: "hide" refused proposals from the sampler, or let it "learn" from them.
        start: chooses the first proposals; None where the sampler does.
        narrower: makes the sampler's proposals fit the budget; None where they are only refused.
        announcer: tells observers of refused proposals, and of what becomes of a claim.
        demands: names of the constraints that belong to the objective.
    """

    def __init__(
        self,
        stored: StoredStudy,
        sampler: AtNumber,
        seed: int,
        *,
        budget: Budget | None,
        measure: Callable[[Values], Size | None] | None,
        infeasible: Infeasible = "hide",
        start: Start | None = None,
        narrower: Narrower | None = None,
        announcer: Announcer | None = None,
        demands: Collection[str] = (),
    ) -> None:
        self._stored = stored
        self._seed = seed
        self._start = start
        self._starts = True  # until it has drawn in vain for this claim; a process that resumes the study knows no more
        self._narrower = narrower
        self._announcer = announcer or Announcer()
        self._mirror = Mirror(
            stored.study.directions,
            sampler,
            learn_rejections=infeasible == "learn",
            is_rejection=is_rejection,
            demands=demands,
        )
        self._grid = sampler if isinstance(sampler, Grid) else None
        self._fixed = fixed_by(sampler(0))
        self._index = TrialIndex(stored, self._fixed)
        self._judge = Judge(self._index, budget, measure)
        self._retries = Retries()
        self._watch = Watch()
        self._looked_after = -math.inf

    def next(
        self, space: ParameterSpace, max_trials: int | None, waits: Callable[[], bool] = lambda: True
    ) -> Claim | None:
        """Claim the next trial to train; None when the study has `max_trials`, or when no new one is found.

        Enqueued trials come first. They are held to the budget like any other proposal.

        Args:
            space: what is searched.
            max_trials: trials that the study shall have, trained or running; None for no end.
            waits: asked every second while the study is full of trials that others train; False ends the wait.

        Raises SearchFailed where nothing is trained after 1,000 refusals in a row, or nothing in the space fits.
        """
        refusals, repeats, repeats_in_a_row = 0, 0, 0
        self._starts = True
        self._looked_after = -math.inf
        while True:
            if self.is_full(max_trials, waits):
                return None
            left = None if self._grid else self._index.points_left(space)
            try:
                if self._index.is_waiting():
                    outcome = self._take_enqueued(space, max_trials)
                elif self._grid is not None:
                    if (point := self._grid.next(space, self._index.is_settled)) is None:
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
            except UpdateFinishedTrialError:  # this process stood still, and another one took it for dead
                continue
            if isinstance(outcome, Claim):
                return outcome
            if outcome is None:
                continue
            refusals += outcome.reason != "duplicate"
            repeats += outcome.repeated
            repeats_in_a_row = repeats_in_a_row + 1 if outcome.repeated else 0
            if refusals >= REFUSALS_IN_A_ROW:
                if self._index.trained:
                    return None  # hardly anything is left that fits
                raise SearchFailed(self._judge.nothing_fits(f"{REFUSALS_IN_A_ROW:,} proposals in a row"))
            if repeats_in_a_row >= REPEATS_IN_A_ROW:
                return self._end_exhausted()

    def is_full(self, max_trials: int | None, waits: Callable[[], bool] = lambda: True) -> bool:
        """Whether `max_trials` trials of the study are trained or running, over all processes.

        Waits as long as that depends on others, and `waits`.
        """
        self._look_after()
        while self._index.is_full(max_trials):
            self._looked_after = -math.inf
            self._look_after()
            running = self._index.running
            others_decide = running and not any(runs_here(trial) or is_foreign(trial) for trial in running)
            if not (others_decide and self._index.is_full(max_trials) and waits()):
                return self._index.is_full(max_trials)
            time.sleep(LOOK_SECONDS)
            self._look_after()
        return False

    @property
    def trained(self) -> int:
        """The trials of the study that trained to their end or were stopped early, over all processes."""
        self._update()
        return self._index.trained

    def _update(self) -> None:
        changed = self._index.update()
        self._mirror.sync(changed)
        self._retries.note(changed)

    def _look_after(self) -> None:
        """Read the study, and enqueue again what processes that are gone were training, or were enqueuing."""
        self._update()
        if time.monotonic() - self._looked_after >= LOOK_SECONDS:
            self._looked_after = time.monotonic()
            if fail_abandoned_trials(self._stored, self._watch, self._index.running):
                self._update()
        self._enqueue_owed()

    def _enqueue_owed(self) -> None:
        if self._retries.owed:
            # Whoever failed it is enqueuing it just now, or was killed. Two retries of one trial do no harm.
            time.sleep(random.Random().uniform(0, LONGEST_WAIT))
            self._update()
            for trial in self._retries.owed:
                retry(self._stored.study, trial)
            self._update()

    def _propose(self, space: ParameterSpace, max_trials: int | None, *, at_random: bool) -> Claim | Verdict | None:
        number = len(self._index)
        if self._start is not None and self._starts and not at_random and self._index.trained < FIRST_TRIALS:
            point = self._start.point(number, space)
            if point is not None:
                return self._settle(point, *space.encode(point), None, max_trials)
            self._starts = False
        proposal = self._mirror.ask(number, self._random_sampler(number) if at_random else None)
        values = space.fill(partial(suggest, proposal))
        proposed = self._mirror.proposed(proposal)
        settled = self._settle(values, proposed.params, proposed.distributions, proposal, max_trials)
        if self._narrower is None or not isinstance(settled, Verdict) or not settled.limits or settled.size is None:
            return settled
        narrowed = self._narrower.point(values, settled.size, space)
        if narrowed is None or self._index.trial_of(narrowed) is not None:
            return settled
        proposed_widths = {name: value for name, value in values.items() if narrowed[name] != value}
        return self._settle(narrowed, *space.encode(narrowed), None, max_trials, {NARROWED_FROM: proposed_widths})

    def _take_one_of(
        self, left: Sequence[Values], space: ParameterSpace, max_trials: int | None
    ) -> Claim | Verdict | None:
        values = left[derive_seed(self._seed, "left", len(self._index)) % len(left)]
        return self._settle(values, *space.encode(values), None, max_trials)

    def _settle(
        self,
        values: Values,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        proposal: optuna.Trial | None,
        max_trials: int | None,
        noted: Mapping[str, Any] = MappingProxyType({}),
    ) -> Claim | Verdict | None:
        """Store the proposal, with `noted` user attributes, refused or claimed; None for a claim that was withdrawn."""
        verdict = self._judge.verdict(values)
        attributes = {**verdict.attributes(values), **noted}
        if verdict.reason is None:
            attributes |= claim_attributes()
            if proposal is not None and (state := self._mirror.proposed(proposal).system_attrs):
                attributes[SAMPLER_STATE] = state
        trial = optuna.trial.create_trial(
            state=TrialState.PRUNED if verdict.reason else TrialState.RUNNING,
            params=params,
            distributions=distributions,
            user_attrs=attributes,
            constraints=dict(verdict.excess),
        )
        number = self._stored.add(trial)
        if verdict.reason:
            if proposal is not None:
                self._mirror.refuse(proposal, number, verdict.excess)
            self._announcer.refused(full_record(self._stored.trial(number)))
            return verdict
        if proposal is not None:
            self._mirror.accept(proposal, number, verdict.excess)
        self._update()
        self._enqueue_owed()  # what failed meanwhile goes first
        if self._index.is_full(max_trials, before=number):
            return self._withdraw(number)
        return self._keep(number, values, verdict)

    def _take_enqueued(self, space: ParameterSpace, max_trials: int | None) -> Claim | Verdict | None:
        number = self._stored.take_waiting(**claim_attributes())
        if number is None:
            return None  # another process took it first
        self._update()
        if self._index.is_full(max_trials, without=number):
            return self._withdraw(number)
        self._stored.study.sampler = self._random_sampler(number)  # for parameters that were not enqueued
        trial = self._stored.live(number)
        values: Values = {}
        try:
            values = space.fill(partial(suggest, trial))
            space.encode(values)
        except ValueError as error:
            verdict = Verdict("infeasible", message=f"enqueued with values that are not in the space: {error}")
        else:
            verdict = self._judge.verdict(values, number)
        if self._retries.is_second(self._stored.trial(number)):
            verdict = Verdict("duplicate", message="another trial tries the same trial again", repeated=True)
        self._stored.keep(number, **verdict.attributes(values))
        for name in verdict.excess.keys() - self._stored.trial(number).constraints.keys():
            trial.set_constraint(name, verdict.excess[name])
        if verdict.reason:
            return self._refuse(number, verdict)
        self._update()
        return self._keep(number, values, verdict)

    def _keep(self, number: int, values: Values, verdict: Verdict) -> Claim | Verdict:
        """A claim on the trial, unless another process claimed the same values first: then it is refused."""
        if self._index.trial_of(values) == number:
            return Claim(self._stored, self._announcer, number, values)
        verdict = self._judge.duplicate(values, verdict.size)
        self._stored.keep(number, **verdict.attributes(values))
        return self._refuse(number, verdict)

    def _refuse(self, number: int, verdict: Verdict) -> Verdict:
        self._stored.set_state(number, TrialState.PRUNED)
        self._announcer.refused(full_record(self._stored.trial(number)))
        return verdict

    def _withdraw(self, number: int) -> None:
        """Enqueue the trial again, for a search with more trials: another process claimed the last place first."""
        self._stored.set_state(number, TrialState.WAITING)
        time.sleep(random.Random().uniform(0, LONGEST_WAIT))  # so that two that withdrew do not meet again

    def _random_sampler(self, number: int) -> BaseSampler:
        return random_sampler(derive_seed(self._seed, "random", number), self._fixed)

    def _end_exhausted(self) -> None:
        if not self._index.any_tried():
            raise SearchFailed(self._judge.nothing_fits("all networks of the space"))
