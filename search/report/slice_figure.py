"""The value of every trained trial against each hyperparameter by itself."""

from typing import Any

from matplotlib.figure import Figure

from ..errors import CannotDraw
from ..messages import shortened
from .hyperparameter_axes import INACTIVE, Importances, most_telling, scale
from .study_view import StudyView
from .style import BLUE, ORANGE, heading, legend_below, new_figure, outer_fence, plain

COLUMNS = 4
LONGEST_NAME = 28
"""Characters that fit below a panel."""
PANEL_HEIGHT = 2.5
"""Inches of a row of panels."""
STYLES: dict[bool, dict[str, Any]] = {
    True: {"color": BLUE, "marker": "o", "label": "complete"},
    False: {"color": ORANGE, "marker": "x", "label": "stopped early, at its last epoch"},
}
"""By whether a trial is complete."""


def draw_slices(view: StudyView, importances_of: Importances) -> Figure:
    """A panel for each of the most important hyperparameters: the value of every trained trial over its own values.

    Without importances, the hyperparameters that most trials have are shown. A value far worse than the others is drawn
    at the edge, which the legend tells. Raises CannotDraw for fewer than two complete trials, or if no hyperparameter
    has several values.
    """
    complete = view.complete
    if len(complete) < 2:
        raise CannotDraw(f"slices need 2 complete trials, there are {len(complete)}")
    names = most_telling([point.trial for point in complete], importances_of)
    edge = outer_fence([point.value for point in complete], maximize=view.maximize)
    worst = max if view.maximize else min
    values = [worst(point.value, edge) for point in view.points]
    is_cut = any(value != point.value for value, point in zip(values, view.points, strict=True))
    cut = f" ({'below' if view.maximize else 'above'} {edge:.4g}: at the edge)" if is_cut else ""
    rows = -(-len(names) // COLUMNS)
    figure = new_figure(1.1 + PANEL_HEIGHT * rows)
    first = None
    for number, name in enumerate(names):
        axes = plain(figure.add_subplot(rows, COLUMNS, number + 1, sharey=first))
        places, ticks = scale(name, [point.trial for point in view.points])
        for is_complete in sorted({point.complete for point in view.points}, reverse=True):
            style = STYLES[is_complete]
            drawn = [
                (place, value)
                for place, value, point in zip(places, values, view.points, strict=True)
                if point.complete == is_complete and place != INACTIVE
            ]
            told = {"label": style["label"] + cut, "gid": f"{style['label']}: {name}"}
            dots = {**style, **told, "linestyle": "none", "markersize": 4, "alpha": 0.7}
            axes.plot([place for place, _ in drawn], [value for _, value in drawn], **dots)
        axes.set_xlim(-0.08, 1.08)
        axes.set_xticks(*zip(*ticks, strict=True), rotation=90, fontsize=8, parse_math=False)
        axes.set_xlabel(shortened(name, LONGEST_NAME), fontsize=9, parse_math=False)
        axes.tick_params(axis="y", labelsize=8, labelleft=number % COLUMNS == 0)
        if number % COLUMNS == 0:
            axes.set_ylabel(view.objective, fontsize=9, parse_math=False)
        first = first or axes
    heading(figure, "Every trial by its hyperparameters", view.note)
    if first is not None:
        legend_below(figure, first)
    return figure
