"""Draws the test accuracy of the champions over their parameters, beside that of public networks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerastuna.search.commands.references import reference_network
from kerastuna.search.report.style import (
    BLUE,
    GREY,
    NOTE_SIZE,
    ORANGE,
    heading,
    in_own_style,
    legend_below,
    new_axes,
    show_cost,
)
from kerastuna.spaces.cost import count_params
from kerastuna.spaces.references import REFERENCES

FOLDER = Path(__file__).parent / "champions"
LARGEST = 15_000
"""Parameters that are shown."""


@final
@dataclass(frozen=True)
class Public:
    """A network that others published.

    Attributes:
        params: as Keras counts them.
        accuracy: on MNIST's test images, at the last epoch of one run.
        source: whose it is.
    """

    params: int
    accuracy: float
    source: str


PUBLIC = (
    Public(12_100, 0.9957, "vinaysupermario, Assignment-6"),
    Public(10_206, 0.9960, "sagarigrandhi, EVA4 S5"),
    Public(8_172, 0.9957, "dine1717, ERA2 S7"),
    Public(6_174, 0.9947, "firekind, ERA4 S6"),
    Public(3_882, 0.9952, "adilsammar, woolly-of-cv"),
)
"""The best of this size that were found, 15 or 20 epochs each; most were chosen by the test images."""


@in_own_style
def draw(champions: Mapping[str, Any]) -> Figure:
    """The figure of the champions, as champions.json tells of them."""
    figure, axes = new_axes(4.2)
    seeds = [(count_params(reference_network(name)), each.reported_test_accuracy) for name, each in REFERENCES.items()]
    public = [(each.params, each.accuracy) for each in PUBLIC]
    _dots(axes, [seed for seed in seeds if seed[0] <= LARGEST], GREY, "s", "where the search of ConvNet began")
    _dots(axes, public, ORANGE, "^", "public networks")
    for number, (name, champion) in enumerate(champions.items()):
        params, test = champion["params"], champion["test"]
        axes.errorbar(
            params, 100 * test["mean"], 100 * test["std"], fmt="o", color=BLUE, capsize=3,
            label="" if number else "champions, mean and standard deviation",
        )  # fmt: skip
        axes.annotate(
            f"{name} (n {test['n']})", (params, 100 * test["mean"]), xytext=(-8, -3), textcoords="offset points",
            ha="right", fontsize=NOTE_SIZE, color=BLUE,
        )  # fmt: skip
    smallest = min(champion["params"] for champion in champions.values())
    axes.set_xscale("log")
    axes.set_xlim(smallest / 2, 1.1 * LARGEST)
    show_cost(axes.xaxis, "params", (smallest, LARGEST))
    axes.set_ylabel("test accuracy in %")
    note = "all images, at most 20 epochs, last epoch; squares and triangles are single runs as they were published"
    heading(figure, "MNIST: test accuracy of small networks", note)
    legend_below(figure, axes)
    return figure


def _dots(axes: Axes, points: Sequence[tuple[int, float]], colour: str, marker: str, label: str) -> None:
    sizes, accuracies = zip(*points, strict=True)
    axes.plot(sizes, [100 * accuracy for accuracy in accuracies], marker, color=colour, label=label, gid=label)


def main() -> None:
    """Draw docs/accuracy_over_parameters.png anew."""
    path = Path(__file__).parents[1] / "docs" / "accuracy_over_parameters.png"
    draw(json.loads((FOLDER / "champions.json").read_text())).savefig(path)


if __name__ == "__main__":
    main()
