"""Figures of the hyperparameters: their importances, and their values as parallel coordinates."""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import optuna
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from optuna.trial import FrozenTrial, TrialState

from ..errors import CannotDraw
from ..messages import shortened
from ..study.goal import goal_of, score_of
from ..study.records import finite
from .hyperparameter_axes import INACTIVE, Importances, folded, most_telling, scale
from .study_view import StudyView
from .style import BLUE, COLOURS, GREY, heading, legend_below, new_axes, outer_fence
from .trial_axes import MANY_LINES, draw_lines

FEWEST_TRIALS = 4
ENOUGH_TRIALS = 50
"""A tenth of these are five: Optuna advises at least five good trials for PED-ANOVA."""
RARE = 0.1
"""A hyperparameter that is active in a smaller share of the trials has no meaningful importance."""
MOST_BARS = 15


def hyperparameter_importances(study: optuna.Study) -> dict[str, float]:
    """How much each hyperparameter separates the best complete trials from the others.

    Returns shares by name that sum to 1, the largest first. They come from conditional PED-ANOVA (Watanabe, Bansal and
    Hutter, IJCAI 2023; Optuna's default), which also handles hyperparameters that only some trials have; those active
    in less than a tenth of the trials are left out. The best trials are a tenth of all, at least five, at most half.
    Raises CannotDraw if there are too few trials or if no hyperparameter separates them.
    """
    trials = _complete(study)
    if len(trials) < FEWEST_TRIALS:
        raise CannotDraw(f"importances need {FEWEST_TRIALS} complete trials, there are {len(trials)}")
    frequency = Counter(name for trial in trials for name in trial.params)
    names = sorted(name for name, count in frequency.items() if count >= max(2, RARE * len(trials)))
    goal = goal_of(study)
    # Values that are costs alone do not tell which trials are good. Their places do; like a cost, smaller is better.
    places = {trial.number: place for place, trial in enumerate(goal.ranked(trials))}
    only_costs = all(quantity.is_cost for quantity in goal.quantities)
    target = (lambda trial: places[trial.number]) if only_costs else None
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=min(0.5, max(0.1, 5 / len(trials))))
    with warnings.catch_warnings():
        # A condition that fewer than two trials meet is left out of the sum: common with few trials.
        warnings.filterwarnings("ignore", message="Some regimes for parameter", category=UserWarning)
        # It warns that lower is better: places are meant that way.
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes", category=UserWarning)
        # All trials are equally good: reported below.
        warnings.filterwarnings("ignore", message="Target and region quantiles select the same", category=UserWarning)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names, target=target)
    if len(shares) == 1:
        raise CannotDraw(f"there is one hyperparameter alone, {next(iter(shares))}")
    if len(set(shares.values())) < 2:  # Optuna returns equal shares if all importances are 0
        raise CannotDraw("no hyperparameter tells the best trials from the others")
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def draw_importances(study: optuna.Study, note: str, importances_of: Importances) -> Figure:
    """The largest importances as bars. Raises CannotDraw if `importances_of` does."""
    importances = list(importances_of().items())
    names, shares = zip(*reversed(importances[:MOST_BARS]), strict=True)
    figure, axes = new_axes(1.6 + 0.26 * len(names))
    bars = axes.barh(range(len(names)), shares, color=BLUE)
    axes.bar_label(bars, [f"{share:.1%}" for share in shares], padding=3, fontsize=9)
    axes.set_yticks(range(len(names)), [_with_share(name, _complete(study)) for name in names], parse_math=False)
    axes.set_xlim(0, 1.12 * shares[-1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0%}"))
    axes.grid(visible=False, axis="y")
    remarks = []
    if rest := len(importances) - len(names):
        remarks.append(f"{rest} smaller ones not shown")
    if (trials := len(_complete(study))) < ENOUGH_TRIALS:
        remarks.append(f"from {trials} complete trials: a rough guide")
    label = f"share of the importance for {goal_of(study).aim} (PED-ANOVA)"
    axes.set_xlabel("\n".join([label, "; ".join(remarks)]), parse_math=False)
    heading(figure, "Hyperparameter importances", note)
    return figure


def draw_parallel_coordinates(view: StudyView, importances_of: Importances) -> Figure:
    """The most important hyperparameters of every complete trial, one axis each, and the metric on the last axis.

    Without importances, the hyperparameters that most trials have are shown. Raises CannotDraw for fewer than two
    complete trials, or if no hyperparameter has several values.
    """
    maximize = view.maximize
    board = view.goal.ranked(view.trials)
    if len(board) < 2:
        raise CannotDraw(f"parallel coordinates need 2 complete trials, there are {len(board)}")
    names = most_telling(board, importances_of)
    figure, axes = new_axes(5.0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.1, len(names) + 0.3)
    axes.set_xticks([])

    columns: list[list[float]] = []
    for place, name in enumerate(names):
        positions, ticks = scale(name, board)
        columns.append(positions)
        _draw_axis(axes, place, folded(shortened(name)), ticks)
    values = np.array([score_of(trial) for trial in board])
    fence = outer_fence(values, maximize=maximize)
    usual = values[values >= fence] if maximize else values[values <= fence]
    low, high = usual.min(), usual.max()
    heights = np.clip((values - low) / (high - low), 0, 1) if high > low else np.ones(len(values))
    columns.append(list(heights))
    _draw_objective(axes, len(names), view.objective, (low, high), maximize, cut=len(usual) < len(values))

    lines = np.column_stack(columns)
    shades = colormaps[COLOURS](heights if maximize else 1 - heights)
    ranks = list(reversed(range(len(board))))
    if len(ranks) > MANY_LINES:
        places = np.arange(lines.shape[1])
        others = [np.column_stack((places, lines[rank])) for rank in ranks[:-1]]
        draw_lines(axes, others, shades[ranks[:-1]], linewidth=1.2, alpha=0.85, gid="trial")
        ranks = ranks[-1:]
    for rank in ranks:
        width = 3.0 if rank == 0 else 1.2
        label = f"{view.best_is} ({view.best_label})" if rank == 0 else None
        axes.plot(lines[rank], color=shades[rank], linewidth=width, alpha=0.85, label=label, gid="trial")
    without = any(position == INACTIVE for column in columns for position in column)
    axes.set_ylim(INACTIVE - 0.05 if without else -0.05, 1.2)
    axes.set_yticks([INACTIVE] if without else [], ["inactive"] if without else [], color=GREY, fontsize=9)
    axes.tick_params(length=0)
    heading(figure, "Parallel coordinates of the complete trials", view.note)
    legend_below(figure, axes)
    return figure


def _with_share(name: str, trials: Sequence[FrozenTrial]) -> str:
    """`name`, and how many of the trials have it where not all do: its importance is among these."""
    having = sum(name in trial.params for trial in trials)
    return shortened(name) + (f" (in {having} of {len(trials)})" if having < len(trials) else "")


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if finite(score_of(trial)) is not None]


def _draw_axis(axes: Axes, place: float, name: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color=GREY, linewidth=1, gid="axis")
    axes.text(place, 1.04, name, ha="center", va="bottom", fontsize=9, parse_math=False, gid="name")
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
    for height, text in ticks:
        axes.plot([place, place + 0.03], [height, height], color=GREY, linewidth=1, gid="tick")
        axes.text(
            place + 0.05,
            height,
            text,
            va="center",
            fontsize=8,
            parse_math=False,
            bbox=behind,
            zorder=3,
            gid=f"tick of {name}",
        )


def _draw_objective(axes: Axes, place: int, name: str, ends: tuple[float, float], maximize: bool, *, cut: bool) -> None:
    """Draw the last axis: a strip in the colours of the lines."""
    ramp = np.linspace(0, 1, 256)[:, None]
    extent = (place, place + 0.1, 0, 1)
    axes.imshow(ramp if maximize else 1 - ramp, extent=extent, origin="lower", aspect="auto", cmap=COLOURS, zorder=3)
    low, high = ends
    ticks = [
        (height, f"{low + height * (high - low):.4g}") for height in (np.linspace(0, 1, 6) if high > low else (1.0,))
    ]
    if cut:  # outliers are drawn at the end of the axis
        end = 0 if maximize else -1
        ticks[end] = (ticks[end][0], f"{'≤' if maximize else '≥'} {ticks[end][1]}")
    _draw_axis(axes, place + 0.1, folded(name), ticks)
