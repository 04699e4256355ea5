"""The report of a study: its figures, and its leaderboard as a table and as CSV."""

import csv
import functools
import io
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial

from ..errors import CannotDraw
from ..study.attributes import is_trained
from ..study.budget import COSTS, Budget
from ..study.goal import Goal, ParetoFront, SmallestNetwork, goal_of
from ..study.records import full_record
from .contour_figure import draw_contour
from .figures import Figures
from .front_figures import draw_pareto_front
from .hyperparameter_figures import draw_importances, draw_parallel_coordinates, hyperparameter_importances
from .slice_figure import draw_slices
from .study_view import StudyView, view_of
from .style import in_own_style
from .target_figures import draw_cost_history, draw_smallest_over_time
from .trial_figures import (
    draw_cost_vs_metric,
    draw_incumbent_over_time,
    draw_intermediate_values,
    draw_optimization_history,
)

if TYPE_CHECKING:
    import pandas


@in_own_style
def study_figures(study: optuna.Study, budget: Budget | int | None = None) -> Figures:
    """The figures of a study.

    Args:
        budget: the limits to draw, a number of parameters or a `Budget`; None for those the study was created with.

    Returns `optimization_history`, `hyperparameter_importances`, `parallel_coordinates`, `slices`, `contour`,
    `params_vs_accuracy`, which is called after the metric, `intermediate_values` and `incumbent_over_time`. A figure
    with too few trials is left out, with the reason. If a study minimises another cost than the parameters, that cost
    replaces `params` in the name. A study of a Pareto front also has `pareto_front`, which replaces
    `params_vs_accuracy` if the parameters are a part of the front.
    """
    view = view_of(study, Budget(budget) if isinstance(budget, int) else budget)
    importances = functools.cache(lambda: hyperparameter_importances(study))
    figures: dict[str, Callable[[], Figure]] = {
        "optimization_history": lambda: draw_optimization_history(view),
        "hyperparameter_importances": lambda: draw_importances(study, view.note, importances),
        "parallel_coordinates": lambda: draw_parallel_coordinates(view, importances),
        "slices": lambda: draw_slices(view, importances),
        "contour": lambda: draw_contour(view, importances),
        _cost_vs_metric("params", view): lambda: draw_cost_vs_metric(view),
        "intermediate_values": lambda: draw_intermediate_values(view),
        "incumbent_over_time": lambda: draw_incumbent_over_time(view),
    }
    drawn: dict[str, Figure] = {}
    left_out: dict[str, str] = {}
    for name, draw in _for_goal(figures, view).items():
        try:
            drawn[name] = draw()
        except CannotDraw as reason:
            left_out[name] = str(reason)
    return Figures(drawn, left_out)


def _for_goal(figures: dict[str, Callable[[], Figure]], view: StudyView) -> dict[str, Callable[[], Figure]]:
    """`figures` with those replaced for which the study's goal needs others."""
    parameters = _cost_vs_metric("params", view)
    match view.goal:
        case SmallestNetwork(cost=cost) as goal:
            other = {
                "optimization_history": lambda: draw_cost_history(view, goal),
                "incumbent_over_time": lambda: draw_smallest_over_time(view, goal),
                parameters: lambda: draw_cost_vs_metric(view, cost),
            }
            names = {parameters: _cost_vs_metric(cost, view)}
            return {names.get(name, name): other.get(name, draw) for name, draw in figures.items()}
        case ParetoFront() as goal:
            shown = {parameters} if "params" in goal.costs else set()
            rest = {name: draw for name, draw in figures.items() if name not in shown}
            return {"pareto_front": lambda: draw_pareto_front(view, goal), **rest}
        case _:
            return figures


def _cost_vs_metric(cost: str, view: StudyView) -> str:
    """The name of the figure of a cost against the metric: "params_vs_accuracy"."""
    metric = re.sub(r"[^\w-]+", "_", view.objective.removeprefix("val_"))
    return f"{cost}_vs_{metric}"


def leaderboard(study: optuna.Study) -> "pandas.DataFrame":
    """The trained trials of `study`, a row for each: the columns and the order of `leaderboard_csv`.

    What is empty there is None or NaN here, in the column `rank` pandas's NA.
    """
    import pandas as pd  # the command never needs it

    columns, rows = _leaderboard(study.get_trials(deepcopy=False), goal_of(study))
    return pd.DataFrame(rows, columns=columns).astype({"rank": "Int64"})


def leaderboard_csv(trials: Iterable[FrozenTrial], goal: Goal) -> str:
    """The trained trials as CSV: first the leaderboard with ranks, best first, then the others by number, without rank.

    Columns: rank, trial, state, reason, value (the metric at the last epoch), params, macs, ram, epochs, seconds,
    reference, summary, and one for each hyperparameter, empty if it was inactive. A study with a target has the column
    `reached` (yes or no) after the rank. A study of a Pareto front has `front` (yes or no) there, and ranks only the
    front.
    """
    columns, rows = _leaderboard(trials, goal)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([columns, *rows])
    return buffer.getvalue()


def _leaderboard(trials: Iterable[FrozenTrial], goal: Goal) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns, and the rows."""
    trials = list(trials)
    board = goal.leaderboard(trials)
    ranked = {trial.number for trial in board}
    rest = [trial for trial in trials if is_trained(trial) and trial.number not in ranked]
    records = [full_record(trial) for trial in (*board, *rest)]
    names = list(dict.fromkeys(name for record in records for name in record["hyperparameters"]))
    columns = ("state", "reason", "value", *COSTS, "epochs", "seconds")
    marks = [] if goal.mark is None else [goal.mark]
    marked = {trial.number for trial in goal.results(trials)}
    rows: list[list[Any]] = []
    for place, record in enumerate(records, start=1):
        rank = place if place <= len(board) else None
        own = [record[column] for column in ("number", *columns, "name", "summary")]
        told = ["yes" if record["number"] in marked else "no"] * len(marks)
        rows.append([rank, *told, *own, *(record["hyperparameters"].get(name) for name in names)])
    return ["rank", *marks, "trial", *columns, "reference", "summary", *names], rows
