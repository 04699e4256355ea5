"""Studies of every kind for the tests of reports, and what their figures show."""

import math
import random
from datetime import datetime, timedelta

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from kerastuna.search.study.goal import BestMetric, Goal, ParetoFront, Quantity, SmallestNetwork

NAMES = {
    "optimization_history",
    "hyperparameter_importances",
    "parallel_coordinates",
    "slices",
    "contour",
    "params_vs_accuracy",
    "intermediate_values",
    "incumbent_over_time",
}
BUDGET = 15_000
BEGAN = datetime(2026, 11, 20, 9)
SPACE = {
    "blocks": IntDistribution(1, 3),
    "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
    "width_index": IntDistribution(0, 3),
    "head": CategoricalDistribution(["conv", "gap", "pool_dense", "flatten_dense"]),
    "dropout": FloatDistribution(0.0, 0.25, step=0.05),
    **{f"block2_pointwise_width_{number}": IntDistribution(4, 32, step=2) for number in range(8)},
}
WIDTHS = (4, 8, 16, 32)
"""What the stepped logarithmic range behind `width_index` stands for."""


def make_trial(
    rng: random.Random, number, state=TrialState.COMPLETE, reason=None, value=None, epochs=4, params=None, start=None
):
    """A trial with the attributes that the search writes."""
    chosen = {}
    for name, distribution in SPACE.items():
        if name.startswith("block2") and chosen["blocks"] < 2:
            continue
        if isinstance(distribution, CategoricalDistribution):
            chosen[name] = rng.choice(distribution.choices)
        elif isinstance(distribution, IntDistribution):
            chosen[name] = rng.randrange(distribution.low, distribution.high + 1, distribution.step)
        elif distribution.log:
            chosen[name] = math.exp(rng.uniform(math.log(distribution.low), math.log(distribution.high)))
        else:
            chosen[name] = round(0.05 * rng.randrange(6), 2)
    attributes = {
        "hyperparameters": {name: WIDTHS[x] if name == "width_index" else x for name, x in chosen.items()},
        "params": rng.randrange(500, BUDGET) if params is None else params,
        "macs": rng.randrange(20_000, 3_000_000),
        "ram": rng.randrange(4_000, 120_000),
        "summary": "16-32-p16 | conv",
    }
    refused = reason in ("over_budget", "infeasible", "duplicate")
    if refused:
        attributes |= {"params": 40_000}
    reports = {}
    if not refused:
        value = 0.95 + 0.01 * chosen["blocks"] + rng.uniform(0, 0.008) if value is None else value
        reports = {epoch: value - 0.2 * math.exp(-epoch) + 0.2 * math.exp(-epochs) for epoch in range(1, epochs + 1)}
        attributes |= {"history": [{"val_accuracy": x} for x in reports.values()], "seconds": 10.0}
    if reason:
        attributes["reason"] = reason
    trial = create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params=chosen,
        distributions={name: SPACE[name] for name in chosen},
        user_attrs=attributes,
        intermediate_values=reports,
    )
    start = BEGAN + timedelta(seconds=12 * number) if start is None else start
    trial.datetime_start, trial.datetime_complete = start, start + timedelta(seconds=0 if refused else 10)
    return trial


ACCURACY, LOSS = Quantity("val_accuracy", "max"), Quantity("val_loss", "min")
PARAMS, MACS, RAM = (Quantity(name, "min") for name in ("params", "macs", "ram"))
FRONT = ParetoFront(ACCURACY, (ACCURACY, PARAMS))
FRONT_OF_FOUR = ParetoFront(ACCURACY, (MACS, RAM, ACCURACY, PARAMS))
SMALLEST = SmallestNetwork(ACCURACY, "macs", 0.974)
LIMITS = {"params": BUDGET, "macs": 3_000_000, "ram": 131_072}


def make_study(trials, goal: Goal = BestMetric(ACCURACY), name="mnist-convnet-15000-quick", budget=None):  # noqa: B008
    """A study as the search leaves it; the values of `trials` are those of the metric, and become those of the goal."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=goal.directions, study_name=name)
    identity = {
        "objective": [goal.metric.name, goal.metric.direction],
        "goal": goal.description(),
        "data": {"images": 4000},
        "epochs": 4,
        "budget": budget,
    }
    study.set_user_attr("identity", identity)
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            score = trial.value
            trial.set_user_attr("score", score)
            trial.values = [trial.user_attrs[part.name] if part.is_cost else score for part in goal.quantities]
    study.add_trials(trials)
    return study


def mixed_trials(complete=20, stopped=12, refused=100, failed=3, seed=0):
    """Trials of every kind in mixed order; those that were trained are the same for any number of `refused`."""
    rng = random.Random(seed)
    kinds = ["complete"] * complete + ["stopped"] * stopped + ["failed"] * failed
    rng.shuffle(kinds)
    trials = []
    for place, kind in enumerate(kinds):
        if kind == "complete":
            trials.append(make_trial(rng, place))
        elif kind == "stopped":
            trials.append(make_trial(rng, place, TrialState.PRUNED, "stopped_early", epochs=rng.choice([1, 2])))
        else:
            trials.append(make_trial(rng, place, TrialState.FAIL, "error"))
    others = random.Random(seed + 1)
    for _ in range(refused):
        place = others.randrange(1, len(trials))
        reason = others.choice(["over_budget", "infeasible", "duplicate"])
        start = trials[place - 1].datetime_start
        trials.insert(place, make_trial(others, 0, TrialState.PRUNED, reason, start=start))
    return trials


def far_off_trials():
    """Good trials, and many that were stopped early or trained to the end far below them."""
    rng = random.Random(4)
    bad = [make_trial(rng, n, value=0.1) for n in range(12, 15)]
    stopped = [make_trial(rng, n, TrialState.PRUNED, "stopped_early", value=0.2) for n in range(15, 60)]
    return [*(make_trial(rng, n) for n in range(12)), *bad, *stopped]


def crowded_trials():
    """Trials whose sizes and values hardly differ, each better than the smaller ones, and a small one far off."""
    rng = random.Random(5)
    close = [make_trial(rng, n, params=9_000 + 20 * n, value=0.98 + 0.0001 * n) for n in range(40)]
    return [*close, make_trial(rng, 40, params=500, value=0.9)]


def lines(figure: Figure, gid):
    """The points of every line that is marked as `gid`."""
    return [
        np.column_stack([line.get_xdata(), line.get_ydata()])
        for axes in figure.axes
        for line in axes.lines
        if line.get_gid() == gid
    ]


def of_state(study, state, reason=None):
    return [t for t in study.trials if t.state == state and t.user_attrs.get("reason") == reason]


def legend(figure: Figure):
    (box,) = figure.legends
    return [text.get_text() for text in box.get_texts()]
