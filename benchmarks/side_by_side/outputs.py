"""The table and the figure of a run."""

import math
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

from .comparison import Spread, accuracy, best_peer, of, ratios, seconds_to_peer, spread
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
        "Median over the search seeds (lowest to highest). Never counts as infinitely many seconds, in the median too: "
        "no epoch began, no trial was trained, or the accuracy was not reached; with an even number of seeds, the "
        "median of a number and never is the number. A search without a complete trial has the accuracy 0. The number "
        "of seeds is told where some have no value, as they have none of a proposal that they did not make. The best "
        "peer of a line is the one with the best median in it, among equals the best mean; where it has no score in a "
        "seed, that seed tells nothing of how soon others have it. Each ratio is of two searches with the same seed, "
        "and the median is that of the ratios, not a ratio of medians. A seed in which Kerastuna never reaches the "
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
        ("first epoch begins, s", lambda one: math.inf if one.first_epoch is None else one.first_epoch, ".1f"),
        ("asked", lambda one: one.asked, ".0f"),
        ("trained", lambda one: one.trained, ".0f"),
        ("rejected", lambda one: one.rejected, ".0f"),
        ("best accuracy", accuracy, ".4f"),
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


def _reached(seconds: Sequence[float]) -> str:
    reached = f", reached in {sum(map(math.isfinite, seconds))} of {len(seconds)}" if seconds else ""
    return _shown(seconds, ".1f") + reached


def _shown(values: Sequence[float | None], form: str) -> str:
    return _known(spread(values), len(values), form)


def _known(found: Spread | None, seeds: int, form: str) -> str:
    """A spread in words, with the number of seeds that it is of where it is not of all `seeds`."""
    if found is None:
        return "-"
    return _range(found, form) + ("" if found.n == seeds else f", in {found.n} of {seeds}")


def _range(found: Spread, form: str, never: float = math.inf) -> str:
    """A spread in words, with the value that stands for never."""
    middle, low, high = (
        "never" if value == never else f"{value:{form}}" for value in (found.median, found.low, found.high)
    )
    return middle if found.low == found.high else f"{middle} ({low} to {high})"


def _ratios(searches: Sequence[Search], own: Sequence[str]) -> str:
    rows: list[list[str]] = []
    for name in own:
        for ratio in ratios(searches, name):
            times = _known(ratio.spread, ratio.seeds, ".1f")
            if ratio.spread is not None and ratio.reached is not None:
                times = f"{_range(ratio.spread, '.1f', never=0.0)}, reached in {ratio.reached} of {ratio.spread.n}"
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
    banded = {"kerastuna", best_peer(searches, accuracy)}
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
