"""The table and the figure of a run."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerastuna.search.report.markdown import table
from kerastuna.search.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    heading,
    in_own_style,
    legend_below,
    new_axes,
    widen_towards_one,
)

from .comparison import of, ratios, seconds_to_peer, spread
from .contenders import CONTENDERS
from .measures import Search, best_at

LINES: Mapping[str, tuple[str, str]] = {
    "random": (GREY, "-"),
    "bayesian": (GREEN, "-"),
    "hyperband": (BLACK, "--"),
    "optuna": (ORANGE, "-"),
    "kerastuna": (BLUE, "-"),
    "kerastuna_all": (BLUE, "--"),
    "kerastuna_warm": (BLUE, ":"),
}
OUTSIDE_GOAL = 0.05
"""The share of the time outside training that the project allows."""


def markdown(run: Mapping[str, Any], searches: Sequence[Search]) -> str:
    """The tables of a run, with what they were measured on."""
    names = [name for name in CONTENDERS if of(searches, name)]
    parts = [f"# Peers side by side: {run['setting']['name']}", note(run, searches), _contenders(searches, names)]
    own = [name for name in names if not CONTENDERS[name].is_peer]
    parts += ["## Times better than the best peer", _ratios(searches, own)]
    parts.append(
        "Median over the search seeds (lowest to highest). Each ratio is of two searches with the same seed; the best "
        "peer of a line is the one that is best in it over all seeds. A seed in which Kerastuna does not reach the "
        "peer's accuracy counts as 0 times. Trained are trials that were complete or stopped early. Outside training "
        "is all but the epochs, their validation, and what `fit` does before the first one; compiling is the part of "
        "those that later epochs do not have. An over-budget proposal costs from its request to its recorded refusal."
    )
    return "\n\n".join(parts) + "\n"


def note(run: Mapping[str, Any], searches: Sequence[Search]) -> str:
    """What a run was measured on, in a sentence or two."""
    setting, seeds = run["setting"], {search.seed for search in searches}
    train, validated = run["images"]
    loads = [search.load for search in searches]
    return (
        f"{setting['data']}, {train:,} training and {validated:,} validation images, {setting['epochs']} epochs, "
        f"{setting['seconds']:g} s a search, n = {len(seeds)} search seeds. {run['hardware']}; {run['backend']}; "
        f"{run['versions']}. {run['date']}; load of the machine before a search "
        f"{min(loads):.1f} to {max(loads):.1f}."
    )


def _contenders(searches: Sequence[Search], names: Sequence[str]) -> str:
    columns: list[tuple[str, Callable[[Search], float | None], str]] = [
        ("first epoch begins, s", lambda one: one.first_epoch, ".1f"),
        ("asked", lambda one: one.asked, ".0f"),
        ("trained", lambda one: one.trained, ".0f"),
        ("rejected", lambda one: one.rejected, ".0f"),
        ("best accuracy", lambda one: one.accuracy, ".4f"),
        ("trained a minute", lambda one: one.trained_a_minute, ".1f"),
        ("epochs a minute", lambda one: one.epochs_a_minute, ".1f"),
        ("outside training, s a trial", lambda one: one.outside_seconds, ".2f"),
        ("outside training, share", lambda one: one.outside_share, ".1%"),
        ("compiling, s a training", lambda one: one.compiling_seconds, ".2f"),
        ("over-budget proposal, ms", lambda one: one.over_budget_ms, ".1f"),
    ]
    rows: list[list[str]] = []
    for name in names:
        own = list(of(searches, name).values())
        cells = [_shown([read(one) for one in own], form) for _, read, form in columns]
        rows.append([CONTENDERS[name].title, *cells, _reached(seconds_to_peer(searches, name))])
    return table(["", *(title for title, _, _ in columns), "s to the best peer's accuracy"], rows)


def _reached(seconds: Sequence[float | None]) -> str:
    shown = _shown(seconds, ".1f")
    missing = seconds.count(None)
    return f"{shown}, never in {missing} of {len(seconds)}" if missing else shown


def _shown(values: Sequence[float | None], form: str) -> str:
    found = spread(values)
    if found is None:
        return "-"
    text = f"{found.median:{form}}"
    return text if found.low == found.high else f"{text} ({found.low:{form}} to {found.high:{form}})"


def _ratios(searches: Sequence[Search], own: Sequence[str]) -> str:
    rows: list[list[str]] = []
    for name in own:
        for ratio in ratios(searches, name):
            times = "-"
            if ratio.spread is not None:
                times = f"{ratio.spread.median:.1f} ({ratio.spread.low:.1f} to {ratio.spread.high:.1f})"
            if ratio.never:
                times += f", never in {ratio.never} of {ratio.spread.n if ratio.spread else 0}"
            rows.append(
                [CONTENDERS[name].title, ratio.measure, CONTENDERS[ratio.peer].title, times, f"{ratio.goal:g} times"]
            )
        share = statistics.median(one.outside_share for one in of(searches, name).values())
        rows.append(
            [CONTENDERS[name].title, "share of the time outside training", "-", f"{share:.1%}", f"{OUTSIDE_GOAL:.0%}"]
        )
    return table(["", "measure", "best peer", "measured", "goal"], rows, left=3)


@in_own_style
def draw(run: Mapping[str, Any], searches: Sequence[Search], path: Path) -> None:
    """Draw the best accuracy against seconds: medians over the seeds, and the range of Kerastuna and the best peer."""
    figure, axes = new_axes(5.4)
    names = [name for name in CONTENDERS if of(searches, name)]
    end = max(search.seconds for search in searches)
    banded = {"kerastuna"} | {ratio.peer for ratio in ratios(searches, "kerastuna")[:1]}
    seen: list[float] = []
    for name in names:
        own = list(of(searches, name).values())
        times = sorted({0.0, end, *(ended for one in own for ended, _ in one.curve)})
        rows = [[best_at(one.curve, time) or 0.0 for one in own] for time in times]
        shown = [(time, row) for time, row in zip(times, rows, strict=True) if statistics.median(row) > 0]
        if not shown:
            continue
        colour, dash = LINES[name]
        at, medians = [time for time, _ in shown], [statistics.median(row) for _, row in shown]
        axes.step(at, medians, where="post", color=colour, linestyle=dash, label=CONTENDERS[name].title)
        seen += medians
        if name in banded:
            lows, highs = [min(row) for _, row in shown], [max(row) for _, row in shown]
            seen += highs
            axes.fill_between(at, lows, highs, step="post", color=colour, alpha=0.12, linewidth=0)
    widen_towards_one(axes, seen)
    axes.set_xlim(0, end)
    axes.set_xlabel("seconds of the search, without importing")
    axes.set_ylabel("best validation accuracy")
    setting, seeds = run["setting"], {search.seed for search in searches}
    heading(
        figure,
        "Best validation accuracy under 15,000 parameters",
        f"median of {len(seeds)} search seeds, shaded from lowest to highest; {run['images'][0]:,} images, "
        f"{setting['epochs']} epochs; {run['hardware']}; {run['backend']}",
    )
    legend_below(figure, axes)
    figure.savefig(path)
