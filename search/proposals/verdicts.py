"""Whether a proposal may be trained: it must be new, feasible and within the budget."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from ..errors import InfeasibleArchitecture
from ..messages import redact
from ..study.attributes import HYPERPARAMETERS, LIMITS, MESSAGE, REASON
from ..study.budget import Budget, Size
from .distributions import Values
from .trial_index import TrialIndex


@final
@dataclass(frozen=True)
class Verdict:
    """What was decided about a proposal.

    Attributes:
        reason: why it is refused, one of `REJECTIONS`; None when it may be trained.
        size: of the network, where it was counted.
        message: the refusal in words.
        excess: how far the network is above each limit of the budget.
        limits: the names of the limits it breaks.
        repeated: whether the same values were refused or tried before.
    """

    reason: str | None = None
    size: Size | None = None
    message: str = ""
    excess: Mapping[str, float] = field(default_factory=dict)
    limits: Sequence[str] = ()
    repeated: bool = False

    def attributes(self, values: Values) -> dict[str, Any]:
        """The user attributes of a trial with these values."""
        attributes: dict[str, Any] = {HYPERPARAMETERS: dict(values)}
        if self.reason:
            attributes[REASON] = self.reason
        if self.message:
            attributes[MESSAGE] = redact(self.message)
        if self.limits:
            attributes[LIMITS] = list(self.limits)
        if self.size is not None:
            attributes |= vars(self.size)
        return attributes


@final
class Judge:
    """Decides about proposals.

    Args:
        index: of the study's trials.
        budget: the limits; None for none.
        measure: the size of the network at some values, or None where it is not known. May raise
            InfeasibleArchitecture. None where nothing can be counted.
    """

    def __init__(
        self, index: TrialIndex, budget: Budget | None, measure: Callable[[Values], Size | None] | None
    ) -> None:
        self._index = index
        self._budget = budget
        self._measure = measure

    def verdict(self, values: Values, number: int | None = None) -> Verdict:
        """The verdict on these values, of trial `number` where they are in the study already."""
        if self._index.trial_of(values) not in (None, number):
            return self.duplicate(values)
        if self._measure is None:
            return Verdict()
        repeated = self._index.was_refused(values)
        try:
            size = self._measure(values)
        except InfeasibleArchitecture as error:
            return Verdict("infeasible", message=str(error), repeated=repeated)
        if size is None or self._budget is None:
            return Verdict(size=size)
        excess = self._budget.excess(size)
        if self._budget.allows(size):
            return Verdict(size=size, excess=excess)
        message, limits = self._budget.complaint(size), self._budget.broken(size)
        return Verdict("over_budget", size, message, excess, limits, repeated)

    def duplicate(self, values: Values, size: Size | None = None) -> Verdict:
        """The refusal of values that another trial has."""
        message = f"same hyperparameters as trial {self._index.trial_of(values)}"
        return Verdict("duplicate", size, message, repeated=True)

    def nothing_fits(self, proposals: str) -> str:
        """Why the search cannot go on when none of the `proposals` (in words) may be trained."""
        refused = self._index.least_refused()
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
