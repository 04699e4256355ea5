"""The table and the figure of a replay."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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

from .contenders import BASELINE, CONTENDERS, DEFAULT
from .measures import Search, difference, epochs_to, incumbent_at, quartiles

SOURCES: Mapping[str, str] = {
    "reference": "the reference networks",
    "random": "random networks",
    "start": "start proposals",
    "tpe": "searches by TPE",
    "neighbour": "neighbours of the best",
    "repeat": "networks trained again",
    "end": "ends of replayed searches",
}
"""Where trainings come from, in words."""
LINES: Mapping[str, tuple[str, str]] = {
    BASELINE: (GREY, "-"),
    DEFAULT: (BLUE, "-"),
    "tpe_learn": (ORANGE, "-"),
    "tpe_no_start": (BLUE, "--"),
    "tpe_no_pruning": (BLUE, ":"),
    "tpe_warm": (GREEN, "-"),
    "kt_hyperband": (BLACK, "--"),
    "nsga2": (GREEN, "--"),
    "cmaes": (ORANGE, "--"),
    "gp": (BLACK, "-"),
}
"""The contenders in the figure: more could not be told apart."""
BANDED = (BASELINE, DEFAULT)
GOAL = 3
"""How many times fewer epochs the default shall need for what a random search ends with."""


def of(searches: Sequence[Search], name: str) -> list[Search]:
    """The searches of a contender."""
    return [search for search in searches if search.contender == name]


def target_of(searches: Sequence[Search], limit: int) -> float | None:
    """What the median random search ends with; None where there is none."""
    ends = [incumbent_at(search, limit) for search in of(searches, BASELINE)]
    return quartiles(ends)[1] if ends else None


def markdown(run: Mapping[str, Any], searches: Sequence[Search]) -> str:
    """The table of a run, with what it was replayed on."""
    limit, target = run["limit"], target_of(searches, run["limit"])
    names = [name for name in CONTENDERS if of(searches, name)]
    columns = [
        "",
        "searches",
        *(f"best network after {epochs} epochs" for epochs in thirds(limit)),
        "against the default, points",
        "epochs to random search's end",
        "fewer",
        "trained",
        "complete",
        "refused",
        "simulated minutes",
        "replaying, s",
    ]
    rows = [_row(searches, name, limit, target) for name in names]
    parts = ["# Samplers, replayed", _note(run, searches), table(columns, rows), _goal(searches, limit, target)]
    parts.append(
        "The best network is the complete trial that looked best to the search; its accuracy is told without noise, as "
        "a median over the search seeds (quartiles). Against the default: the mean difference of the accuracies at the "
        "end, in percentage points, between searches with the same seed, with its 95 % interval. Epochs to random "
        "search's end: until the best network is as good as what the median random search ends with, and how many "
        "times fewer than its epochs that is. Trained are trials that were complete or stopped early; all numbers but "
        "the first ones are medians. The minutes are what the trainings would take on one core of the first machine of "
        "the table; replaying is the processor's time for proposals."
    )
    return "\n\n".join([*parts, *_verdict(run)]) + "\n"


def thirds(limit: int) -> list[int]:
    """A third of the epochs, two thirds, and all."""
    return [limit // 3, 2 * limit // 3, limit]


def _note(run: Mapping[str, Any], searches: Sequence[Search]) -> str:
    told, error, noise = run["table"], run["error"], run["noise"]
    train, validated = told["images"]
    return (
        f"{told['data']}, {train:,} training and {validated:,} validation images, {told['epochs']} epochs a training, "
        f"{run['limit']} epochs a search, n = {len({search.seed for search in searches})} search seeds. Made by "
        f"{', then '.join(f'`{command}`' for command in run['commands'])}.\n\n"
        f"The table has {run['trainings']} trainings of {error['networks']} networks: {_sources(run['sources'])}. "
        f"They were recorded with {told['backend']}, from {told['date']} on: {_machines(run['machines'])}. Where it "
        "lacks a network, a Gaussian process answers that was fitted on it. On networks that it did not see "
        f"(cross-validation) it is off by {100 * error['mean']:.1f} points of accuracy in the mean (median "
        f"{100 * error['median']:.1f}), and ranks them with a Spearman correlation of {error['rank']:.2f}; for the "
        f"better half, {100 * error['mean_of_best']:.1f} points and {error['rank_of_best']:.2f}. {_noise(noise)} The "
        "spread over the seeds tells how certain a difference is on this surrogate, not whether the surrogate is right."
    )


def _sources(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {SOURCES.get(source, source)}" for source, count in counts.items())


def _machines(counts: Mapping[str, int]) -> str:
    listed = "; ".join(f"{count} on {machine}" for machine, count in counts.items())
    return listed if len(counts) == 1 else f"{listed} (simulated minutes are those of the first machine alone)"


def _noise(noise: Mapping[str, Any]) -> str:
    if not noise["networks"]:
        return "Searches see accuracies without noise, as no network was trained from several seeds."
    return (
        f"Searches see accuracies with the noise of {noise['networks']} networks that were trained from several seeds "
        f"({_sources(noise['sources'])}): a standard deviation of {100 * noise['deviation']:.1f} points, "
        f"{100 * noise['deviation_of_best']:.1f} for the better half."
    )


def _verdict(run: Mapping[str, Any]) -> list[str]:
    """What the contenders' ends had in earnest; nothing where none was trained."""
    if not run["ends"]:
        return []
    columns = ["", "replayed on", "ends", "told", "trained", "against the default, points"]
    rows = [
        [
            CONTENDERS[verdict["contender"]].title,
            f"{verdict['trainings']} trainings",
            str(verdict["searches"]),
            f"{100 * verdict['told']:.2f} %",
            f"{100 * verdict['trained']:.2f} %"
            + ("" if (spread := verdict["deviation"]) is None else f" ± {100 * spread:.2f}"),
            _points(verdict["difference"]),
        ]
        for verdict in run["ends"]
    ]
    return [
        "## Trained in earnest",
        "This is what counts where accuracies above are higher than what was trained: the best network of the table "
        f"has {100 * run['best']:.2f} %, and beyond it the surrogate only guesses. Searches were replayed on the first "
        "trainings of the table, as many as is told here, and the networks where they ended were trained afterwards. "
        "Told is their mean accuracy in the replay, trained their mean in earnest, ± the standard deviation between "
        "searches. Against the default: the mean difference of what was trained, in percentage points, between "
        "searches with the same seed, with its 95 % interval.",
        table(columns, rows),
    ]


def _points(difference: Sequence[float] | None) -> str:
    """A difference of accuracies and half of its 95 % interval, in percentage points."""
    return "-" if difference is None else f"{100 * difference[0]:+.2f} ± {100 * difference[1]:.2f}"


def _row(searches: Sequence[Search], name: str, limit: int, target: float | None) -> list[str]:
    own = of(searches, name)
    cells = [str(len(own))]
    cells += [_accuracies([incumbent_at(search, epochs) for search in own]) for epochs in thirds(limit)]
    cells.append(_points(None if name == DEFAULT else difference(own, of(searches, DEFAULT), limit)))
    if target is None:
        cells += ["-", "-"]
    else:
        low, middle, high = quartiles([epochs_to(search, target) for search in own])
        cells.append(f"{middle:.0f} ({low:.0f} to {high:.0f})".replace("inf", "never"))
        cells.append(f"{limit / middle:.1f} times" if middle <= limit else "-")
    for values in (
        [search.trained for search in own],
        [search.complete for search in own],
        [search.refused for search in own],
    ):
        cells.append(f"{quartiles(values)[1]:.0f}")
    cells.append(f"{quartiles([search.seconds / 60 for search in own])[1]:.1f}")
    cells.append(f"{quartiles([search.replaying for search in own])[1]:.1f}")
    return [CONTENDERS[name].title, *cells]


def _accuracies(values: Sequence[float]) -> str:
    low, middle, high = quartiles(values)
    return f"{100 * middle:.2f} % ({100 * low:.2f} to {100 * high:.2f})"


def _goal(searches: Sequence[Search], limit: int, target: float | None) -> str:
    own = of(searches, DEFAULT)
    if target is None or not own:
        return "Without random search and the default, there is no goal to compare with."
    needed = quartiles([epochs_to(search, target) for search in own])[1]
    reached = f"after {needed:.0f} epochs" if needed <= limit else "never"
    verdict = "reached" if needed * GOAL <= limit else "not reached"
    return (
        f"The goal: the default has random search's final {100 * target:.2f} % in at most a third of its {limit} "
        f"epochs. The median search has it {reached}: {verdict}."
    )


@in_own_style
def draw(run: Mapping[str, Any], searches: Sequence[Search], path: Path) -> None:
    """Draw the best network against the epochs of the search: medians, with quartiles of some."""
    figure, axes = new_axes(5.4)
    limit = run["limit"]
    epochs = np.arange(run["table"]["epochs"], limit + 1)
    seen: list[float] = []
    for name, (colour, dash) in LINES.items():
        if not (own := of(searches, name)):
            continue
        lows, medians, highs = zip(
            *(quartiles([incumbent_at(search, at) for search in own]) for at in epochs), strict=True
        )
        axes.step(epochs, medians, where="post", color=colour, linestyle=dash, label=CONTENDERS[name].title)
        late = len(epochs) // 12  # the first trials would set the scale
        seen += medians[late:]
        if name in BANDED:
            axes.fill_between(epochs, lows, highs, step="post", color=colour, alpha=0.12, linewidth=0)
            seen += [*lows[late:], *highs[late:]]
    if (target := target_of(searches, limit)) is not None:
        axes.axhline(target, color=GREY, linewidth=0.6)
    axes.axvline(limit / GOAL, color=GREY, linewidth=0.6)
    widen_towards_one(axes, seen)
    axes.set_xlim(0, limit)
    axes.set_xlabel("epochs trained by the search")
    axes.set_ylabel("validation accuracy of the best network, without noise")
    told = run["table"]
    heading(
        figure,
        "Replayed searches under 15,000 parameters",
        f"median of at most {len({search.seed for search in searches})} search seeds, shaded between quartiles; "
        f"{told['images'][0]:,} images of {told['data']}, {told['epochs']} epochs a training; on a table of "
        f"{run['trainings']} trainings",
    )
    legend_below(figure, axes)
    figure.savefig(path)
