"""What a study shows: its figures, drawn from trained trials alone, and its leaderboard as CSV."""

import csv
import io
from collections.abc import Callable, Iterable

import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial

from .champion_figures import champion_figures
from .figures import CannotDraw, Figures
from .hyperparameter_figures import draw_importances, draw_parallel_coordinates, hyperparameter_importances
from .records import full_record, leaderboard
from .study import is_trained, objective_name
from .trial_figures import (
    draw_incumbent_over_time,
    draw_intermediate_values,
    draw_optimization_history,
    draw_params_vs_accuracy,
    view_of,
)

__all__ = ["Figures", "champion_figures", "hyperparameter_importances", "leaderboard_csv", "study_figures"]


def study_figures(study: optuna.Study, budget: int | None = None, objective: str | None = None) -> Figures:
    """The figures of a study with one objective.

    Args:
        budget: the most parameters, drawn where it is given.
        objective: the metric's name; None for the one that the study was made with.

    Returns `optimization_history`, `hyperparameter_importances`, `parallel_coordinates`, `params_vs_accuracy`,
    `intermediate_values` and `incumbent_over_time`, as far as there are trials enough for each.
    """
    view = view_of(study, objective or objective_name(study))
    figures: dict[str, Callable[[], Figure]] = {
        "optimization_history": lambda: draw_optimization_history(view),
        "hyperparameter_importances": lambda: draw_importances(study, view.note),
        "parallel_coordinates": lambda: draw_parallel_coordinates(study, view.objective, view.note),
        "params_vs_accuracy": lambda: draw_params_vs_accuracy(view, budget),
        "intermediate_values": lambda: draw_intermediate_values(view),
        "incumbent_over_time": lambda: draw_incumbent_over_time(view),
    }
    drawn: dict[str, Figure] = {}
    left_out: dict[str, str] = {}
    for name, draw in figures.items():
        try:
            drawn[name] = draw()
        except CannotDraw as reason:
            left_out[name] = str(reason)
    return Figures(drawn, left_out)


def leaderboard_csv(trials: Iterable[FrozenTrial], *, maximize: bool = True) -> str:
    """The trained trials as CSV: the complete ones ranked, best first, then those stopped early, by number, unranked.

    Columns: rank, trial, state, reason, value (at the last epoch), params, macs, epochs, seconds, reference, summary,
    and one for each hyperparameter, empty where it was inactive.
    """
    trials = list(trials)
    board = leaderboard(trials, maximize=maximize)
    ranked = {trial.number for trial in board}
    rest = [trial for trial in trials if is_trained(trial) and trial.number not in ranked]
    records = [full_record(trial) for trial in (*board, *rest)]
    names = list(dict.fromkeys(name for record in records for name in record["hyperparameters"]))
    columns = ("state", "reason", "value", "params", "macs", "epochs", "seconds")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["rank", "trial", *columns, "reference", "summary", *names])
    for place, record in enumerate(records, start=1):
        rank = place if place <= len(board) else None
        own = [record[column] for column in ("number", *columns, "name", "summary")]
        writer.writerow([rank, *own, *(record["hyperparameters"].get(name) for name in names)])
    return buffer.getvalue()
