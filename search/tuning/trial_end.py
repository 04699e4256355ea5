"""How a trial of KerasTuner ends in the study."""

import math
from collections.abc import Sequence

from keras_tuner.engine.hyperparameters import HyperParameter
from keras_tuner.engine.trial import Trial, TrialStatus

from ..proposals.claims import Claim
from ..study.attributes import HYPERPARAMETERS, METRICS
from ..study.goal import Goal, Quantity
from ..study.reasons import STOPPED_EARLY
from .keras_tuner_trials import stored_metrics


def fail_where_unknown(trial: Trial, known: Trial, goal: Goal, claim: Claim | None) -> None:
    """Turn a completed trial into a failed one when the study optimises something that is not known of it.

    Args:
        trial: as the tuner hands it back.
        known: the same trial as the oracle keeps it, with its metrics.
        claim: of the trial; None for one that was made by hand.
    """
    if trial.status != TrialStatus.COMPLETED:
        return
    parts = [part for part in goal.quantities if part != goal.metric]
    if unknown := [part.name for part in parts if math.isnan(_value(part, known, goal, claim))]:
        trial.status = TrialStatus.FAILED
        trial.message = f"{unknown[0]}, which the study optimises, is not known of this trial"


def end_in_study(claim: Claim, trial: Trial, goal: Goal, space: Sequence[HyperParameter]) -> None:
    """End the claim as the trial of KerasTuner ended: complete, stopped early or failed.

    Args:
        space: the hyperparameters that are tuned. Another one always has its default, and is not stored: it does not
            make two trials different.
    """
    if claim.is_finished:
        claim.let_go()
        return
    tuned = {hp.name for hp in space}
    values = {name: value for name, value in trial.hyperparameters.values.items() if name in tuned}
    claim.keep(**{HYPERPARAMETERS: values})
    if trial.status != TrialStatus.COMPLETED or trial.score is None:
        claim.fail(score=trial.score, message=trial.message)
        return
    claim.keep(**{METRICS: stored_metrics(trial)})
    if claim.reason == STOPPED_EARLY:
        claim.stop(goal.constraints(trial.score))
    else:
        found = [_value(part, trial, goal, claim) for part in goal.quantities]
        claim.complete(trial.score, found, goal.constraints(trial.score))


def _value(part: Quantity, trial: Trial, goal: Goal, claim: Claim | None) -> float:
    """One of the study's values for a complete trial; NaN when it is not known."""
    if part == goal.metric:
        return math.nan if trial.score is None else float(trial.score)
    if part.is_cost:
        counted = None if claim is None else claim.attributes.get(part.name)
        return math.nan if counted is None else float(counted)
    reported = trial.metrics.get_history(part.name) if trial.metrics.exists(part.name) else []
    return float(reported[-1].mean()) if reported else math.nan
