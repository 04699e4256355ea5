"""The figure of an architecture: its layers as boxes, with output shapes and parameters, block by block."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ...spaces.architecture import (
    Activation,
    Add,
    Architecture,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Layer,
    MaxPooling2D,
    SameShape,
    Shape,
    Window,
)
from ...spaces.cost import cost
from .style import BLUE, GREEN, GREY, ORANGE, WIDTH, heading, new_figure

BOXES_IN_A_ROW = 6
BOX_WIDTH, BOX_HEIGHT = 1.32, 1.0
MOST_LETTERS = 85
"""The number of characters of the title that fit on one line."""
TITLE_LETTERS, LINE_LETTERS = 18, 21
"""The number of characters that fit into the width of a box."""
STEP_X, STEP_Y = 1.48, 1.5
"""Inches from one box to the next in a row, and from one row to the next."""
TIMES, NO_BREAK = "\N{MULTIPLICATION SIGN}", "\N{NO-BREAK SPACE}"
POOLINGS = (MaxPooling2D, AveragePooling2D)


@final
@dataclass(frozen=True)
class Box:
    """A layer together with the layers after it that keep its output shape.

    Attributes:
        title: the layer's kind and its main arguments.
        extras: other arguments of the layer, and the layers after it.
        shape: the output shape, without the batch.
        params: the parameters of all these layers.
    """

    title: str
    extras: tuple[str, ...]
    shape: Shape
    params: int
    colour: str = GREY


def blocks_of(architecture: Architecture) -> list[tuple[str, list[Box]]]:
    """The blocks of `architecture`: the name and the boxes of each.

    A block ends with a pooling layer, or with the pointwise convolution right after that. Layers after the last pooling
    are the head. Raises InfeasibleArchitecture if the layers do not fit the input.
    """
    layers: list[Layer] = []
    boxes: list[Box] = []
    for layer, layer_cost in zip(architecture.layers, cost(architecture).layers, strict=True):
        if isinstance(layer, SameShape) and boxes:
            before = boxes[-1]
            boxes[-1] = replace(
                before, extras=(*before.extras, *_extras(layer)), params=before.params + layer_cost.params
            )
        else:
            layers.append(layer)
            boxes.append(Box(_title(layer), _extras(layer), layer_cost.output_shape, layer_cost.params, _colour(layer)))
    blocks: list[list[Box]] = [[]]
    for place, (layer, box) in enumerate(zip(layers, boxes, strict=True)):
        blocks[-1].append(box)
        following = layers[place + 1] if place + 1 < len(layers) else None
        after_pooling = _is_pointwise(layer) and place > 0 and isinstance(layers[place - 1], POOLINGS)
        if following and (after_pooling or (isinstance(layer, POOLINGS) and not _is_pointwise(following))):
            blocks.append([])
    names = [f"block {number}" for number in range(1, len(blocks) + 1)]
    if not isinstance(layers[-1], POOLINGS):
        names[-1] = "head"
    return list(zip(names, blocks, strict=True))


def draw_architecture(architecture: Architecture, note: str) -> Figure:
    """`architecture` as boxes in reading order: one row for each block, several for a long one."""
    total = cost(architecture)
    start = Box("input", (), architecture.input_shape, 0)
    rows: list[tuple[str, list[Box]]] = []
    for number, (name, boxes) in enumerate(blocks_of(architecture)):
        label = f"{name}: {sum(box.params for box in boxes):,} parameters"
        every = [start, *boxes] if number == 0 else boxes
        chunks = [every[at : at + BOXES_IN_A_ROW] for at in range(0, len(every), BOXES_IN_A_ROW)]
        rows += zip([label, *["" for _ in chunks[1:]]], chunks, strict=True)
    figure = new_figure(STEP_Y * len(rows) + 0.6)
    facts = f"{total.params:,} parameters, {total.macs:,} MACs, receptive field {total.receptive_field} pixels"
    heading(
        figure,
        textwrap.shorten(f"Architecture: {architecture.summary}", MOST_LETTERS, placeholder=" ..."),
        "; ".join(part for part in (note, facts) if part),
    )
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-0.05, WIDTH - 0.15)
    axes.set_ylim(-STEP_Y * len(rows), 0)
    for row, (label, boxes) in enumerate(rows):
        top = -STEP_Y * row - 0.42
        indent = 0.0 if row == 0 else BOX_WIDTH / 2 + 0.12  # to the right of the arrow from the row above
        axes.text(indent, top + 0.08, label, fontsize=9.5, fontweight="bold", va="bottom")
        for column, box in enumerate(boxes):
            left = STEP_X * column
            _draw_box(axes, left, top, box)
            if column:
                _draw_arrow(axes, [(left - STEP_X + BOX_WIDTH, top - BOX_HEIGHT / 2), (left, top - BOX_HEIGHT / 2)])
        if row:
            last = STEP_X * (len(rows[row - 1][1]) - 1) + BOX_WIDTH / 2
            bottom, between = top + STEP_Y - BOX_HEIGHT, top + 0.34
            _draw_arrow(axes, [(last, bottom), (last, between), (BOX_WIDTH / 2, between), (BOX_WIDTH / 2, top)])
    return figure


def _draw_box(axes: Axes, left: float, top: float, box: Box) -> None:
    outline = FancyBboxPatch(
        (left, top - BOX_HEIGHT),
        BOX_WIDTH,
        BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=to_rgba(box.colour, 0.12),
        edgecolor=box.colour,
        gid="box",
    )
    axes.add_patch(outline)
    lines = [
        *textwrap.wrap(", ".join(extra.replace(" ", NO_BREAK) for extra in box.extras), LINE_LETTERS),
        TIMES.join(map(str, box.shape)),
    ]
    if box.params:
        lines.append(f"{box.params:,} parameters")
    middle = left + BOX_WIDTH / 2
    title = textwrap.wrap(box.title.replace("GlobalAverage", "GlobalAverage "), TITLE_LETTERS)
    style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8, "parse_math": False}
    axes.text(middle, top - 0.06, "\n".join(title), fontweight="bold", linespacing=1.1, **style)
    axes.text(middle, top - 0.1 - 0.14 * len(title), "\n".join(lines), linespacing=1.25, **style)


def _draw_arrow(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    axes.plot(*zip(*points[:-1], strict=True), color=GREY, linewidth=1, solid_joinstyle="round")
    style = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9}
    axes.annotate("", points[-1], points[-2], arrowprops=style)


def _is_pointwise(layer: Layer) -> bool:
    return isinstance(layer, Conv2D) and layer.window == (1, 1)


def _colour(layer: Layer) -> str:
    if isinstance(layer, POOLINGS):
        return ORANGE
    if isinstance(layer, Window):
        return GREEN if _is_pointwise(layer) else BLUE
    return GREY


def _title(layer: Layer) -> str:
    window = f" {layer.window[0]}{TIMES}{layer.window[1]}" if isinstance(layer, Window) else ""
    match layer:
        case Conv2D(filters=filters):
            return f"Conv2D{window}, {filters}"
        case Dense(units=units):
            return f"Dense, {units}"
        case _:
            return layer.kind + window


def _extras(layer: Layer) -> tuple[str, ...]:
    """The activation of a layer, and its stride and padding if they are unusual."""
    match layer:
        case Activation(function=function):
            return (function,)
        case BatchNormalization():
            return ("BatchNorm",)
        case Dropout(rate=rate):
            return (f"dropout {rate:.2g}",)
        case Add():
            return ("+",)  # short: it stands with up to four others in a box
        case SameShape():
            return (layer.kind,)
        case _:
            extras: list[str] = []
    if isinstance(layer, Window):
        stride, padding = layer.step
        if stride != (layer.window[0] if isinstance(layer, POOLINGS) else 1):
            extras.append(f"stride {stride}")
        if padding != "valid":
            extras.append("padded")
    if activation := getattr(layer, "activation", None):
        extras.append(activation)
    return tuple(extras)
