"""Confirmation: the best trials again on fresh seeds, the winner by its mean, the test set opened once for it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import optuna
from optuna.trial import FrozenTrial

from ..compat.optuna_attributes import change_study_attribute
from ..errors import SearchFailed
from ..study.budget import COSTS
from ..study.goal import Goal, Rank, budget_of, goal_of, score_of
from ..study.records import finite, finite_metrics
from ..study.seeds import derive_seed
from ..training.epochs import EpochMetrics
from ..workers.tasks import Pool
from .evaluation import spread
from .int8 import Figure
from .retraining import CONFIRM, Confirmed, Retraining, summary_of
from .trainings import Training, run_trainings

CONFIRMATIONS = "confirmations"
"""User attribute of a study: trial number -> seed -> {"value", "history", "int8"}, so that nothing is trained twice.

"int8" is left out where it was not measured. Where a training diverged, "value" is None and "problem" tells why.
"""


@final
@dataclass(frozen=True)
class Candidate:
    """A trial that was trained again on fresh seeds.

    Attributes:
        trial: its number; `params`, `costs` (by name) and `summary` of its network.
        search_value: its objective in the search.
        values: the objective at the last epoch, seed by seed; `histories`: the metrics of every epoch; `int8`: the
            figures in int8, None where one was not measured.
    """

    trial: int
    params: int | None
    costs: Mapping[str, Any]
    summary: str
    search_value: float
    values: tuple[float, ...]
    histories: tuple[tuple[EpochMetrics, ...], ...]
    int8: tuple[Figure | None, ...]

    def rank(self, goal: Goal) -> Rank:
        """Where it stands among others by its mean; the smaller the better."""
        return goal.rank(self.mean, self.costs)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Of the sample; None for a single seed."""
        return spread(self.values)


def fresh_seeds(study_seed: int, count: int) -> list[int]:
    """The seeds of a confirmation: the same for every candidate, none of them a seed of the search."""
    return [derive_seed(study_seed, "confirmation", index) for index in range(count)]


def chosen(study: optuna.Study, top: int, champion: int | None = None) -> list[FrozenTrial]:
    """The trials that are confirmed, `top` of them or as many as there are, the best first.

    A trial that another program added to the study may be over the budget, or of unknown size: it is left out.

    Args:
        champion: the number of a trial that is confirmed too, wherever it stands.
    """
    budget, results = budget_of(study), goal_of(study).results(study.get_trials(deepcopy=False))
    allowed = [trial for trial in results if budget is None or budget.allows_costs(trial.user_attrs)]
    return [trial for place, trial in enumerate(allowed) if place < top or trial.number == champion]


def confirmed_seeds(study: optuna.Study, trial: FrozenTrial) -> set[int]:
    """The seeds on which `trial` has been confirmed already."""
    return set(map(int, _results(study, trial)))


def confirm_candidates(
    study: optuna.Study,
    retraining: Retraining,
    top: int,
    seeds: Sequence[int],
    pool: Pool[Any] | None = None,
    champion: int | None = None,
) -> list[Candidate]:
    """The trials that are `chosen`, each trained on every seed; the best mean first, of equal ones the smaller network.

    One that diverges on a seed is left out. Each result is stored in the study as soon as it is known: an interrupted
    confirmation goes on where it stopped. Raises SearchFailed when the study has no complete trial, and when all
    diverge.
    """
    goal = goal_of(study)
    trials = chosen(study, top, champion)
    if not trials:
        raise SearchFailed(
            f"study {study.study_name!r} has no trial to confirm: {goal.unmet()}; search with more trials"
        )

    def keep(training: Training, confirmed: Confirmed) -> None:
        value = math.nan if confirmed.problem else confirmed.history[-1][retraining.objective]
        result: dict[str, Any] = {"value": finite(value)}
        result["history"] = [finite_metrics(epoch) for epoch in confirmed.history]
        optional = {"int8": confirmed.int8, "problem": confirmed.problem}
        _keep(study, training, result | {name: told for name, told in optional.items() if told is not None})
        retraining.forget(training.trial, training.seed, CONFIRM)
        retraining.observer.training_ended(training.trial.number, training.seed, value)

    missing = [
        Training(trial, seed, is_final=False)
        for trial in trials
        for seed in seeds
        if seed not in confirmed_seeds(study, trial)
    ]
    run_trainings(missing, retraining, pool, keep)
    problems = diverged(study, trials, seeds)
    if len(problems) == len(trials):
        raise SearchFailed(
            f"study {study.study_name!r} has no trial that can be confirmed ({'; '.join(problems.values())}): confirm "
            "more of them, or search with lower learning rates"
        )
    candidates = [_candidate(study, trial, seeds) for trial in trials if trial.number not in problems]
    return sorted(candidates, key=lambda c: (c.rank(goal), math.inf if c.params is None else c.params, c.trial))


def kept_results(
    study: optuna.Study, trials: Sequence[FrozenTrial], seeds: Sequence[int]
) -> list[tuple[int, int, Mapping[str, Any]]]:
    """Trial, seed and result, as in `CONFIRMATIONS`, of every training of `trials` on `seeds` that the study has."""
    results = [(trial.number, seed, _results(study, trial).get(str(seed))) for trial in trials for seed in seeds]
    return [(trial, seed, result) for trial, seed, result in results if result is not None]


def diverged(study: optuna.Study, trials: Sequence[FrozenTrial], seeds: Sequence[int]) -> dict[int, str]:
    """Which of `trials`, by number, diverged on one of `seeds`, and what was told of the last time."""
    kept = kept_results(study, trials, seeds)
    return {trial: result["problem"] for trial, _, result in kept if "problem" in result}


def _results(study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
    return study.user_attrs.get(CONFIRMATIONS, {}).get(str(trial.number), {})


def _keep(study: optuna.Study, training: Training, result: Mapping[str, Any]) -> None:
    trial, seed = str(training.trial.number), str(training.seed)

    def add(before: dict[str, Any] | None) -> dict[str, Any]:
        confirmations = before or {}
        return {**confirmations, trial: {**confirmations.get(trial, {}), seed: result}}

    change_study_attribute(study, CONFIRMATIONS, add)


def _candidate(study: optuna.Study, trial: FrozenTrial, seeds: Sequence[int]) -> Candidate:
    results = _results(study, trial)
    kept = [results[str(seed)] for seed in seeds]
    return Candidate(
        trial=trial.number,
        params=trial.user_attrs.get("params"),
        costs={name: trial.user_attrs.get(name) for name in COSTS},
        summary=summary_of(trial),
        search_value=score_of(trial),
        values=tuple(result["value"] for result in kept),
        histories=tuple(tuple(result["history"]) for result in kept),
        int8=tuple(result.get("int8") for result in kept),
    )
