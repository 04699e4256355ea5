"""The figure of an architecture."""

import re

import pytest
from figure_layout import all_text, check_layout
from hypothesis import given, settings
from hypothesis import strategies as st

from kerastuna.search.report.architecture_figure import blocks_of, draw_architecture
from kerastuna.spaces.architecture import (
    Activation,
    Add,
    Architecture,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from kerastuna.spaces.cost import cost

SOFTMAX = Activation("softmax")
EIP_3 = Architecture(
    (28, 28, 1),
    (
        *(Conv2D(16, activation="relu"), BatchNormalization(), Dropout(0.1)),
        *(Conv2D(32, activation="relu"), BatchNormalization(), Dropout(0.1)),
        *(Conv2D(16, kernel_size=1, activation="relu"), MaxPooling2D()),
        *(Conv2D(16, activation="relu"), BatchNormalization(), Dropout(0.1)),
        *(Conv2D(32, activation="relu"), BatchNormalization(), Dropout(0.1)),
        *(MaxPooling2D(), Conv2D(10, kernel_size=1, activation="relu")),
        *(Conv2D(10, kernel_size=4), BatchNormalization(), Dropout(0.1), Flatten(), SOFTMAX),
    ),
)
EVERYTHING = Architecture(
    (64, 64, 3),
    (
        BatchNormalization(),
        *(Conv2D(128, (5, 3), strides=2, padding="same", activation="relu"), BatchNormalization(), Dropout(0.25)),
        *(DepthwiseConv2D(3, padding="same", activation="relu"), BatchNormalization(), Activation("relu"), Add(3)),
        *(
            Conv2D(1024, 1),
            Conv2D(1024, 1),
            Conv2D(512, 1),
            Conv2D(16, 1),
            AveragePooling2D(3, strides=2, padding="same"),
        ),
        *(
            Conv2D(8, 1),
            Conv2D(8),
            MaxPooling2D((3, 2), strides=2),
            GlobalMaxPooling2D(),
            Dense(1000, activation="relu"),
        ),
        *(Dropout(0.5), Dense(10), SOFTMAX),
    ),
)


def test_blocks_end_with_their_pooling():
    blocks = [(name, [box.title for box in boxes]) for name, boxes in blocks_of(EIP_3)]
    times = "\N{MULTIPLICATION SIGN}"
    conv, point, pool = f"Conv2D 3{times}3", f"Conv2D 1{times}1", f"MaxPooling2D 2{times}2"
    assert blocks == [
        ("block 1", [f"{conv}, 16", f"{conv}, 32", f"{point}, 16", pool]),
        ("block 2", [f"{conv}, 16", f"{conv}, 32", pool, f"{point}, 10"]),
        ("head", [f"Conv2D 4{times}4, 10", "Flatten"]),
    ]
    assert blocks_of(EIP_3)[0][1][0].extras == ("relu", "BatchNorm", "dropout 0.1")
    assert blocks_of(EVERYTHING)[0][1][2].extras == ("padded", "relu", "BatchNorm", "relu", "+")


@pytest.mark.parametrize("architecture", [EIP_3, EVERYTHING], ids=["eip_3", "everything"])
def test_the_architecture_is_drawn_with_its_cost_and_every_text_in_its_box(architecture):
    figure = draw_architecture(architecture, "")
    check_layout(figure)
    axes = figure.axes[0]
    total = cost(architecture)
    told = all_text(figure)
    assert f"{total.params:,} parameters, {total.macs:,} MACs, receptive field" in told
    inside = [int(n.replace(",", "")) for n in re.findall(r"^([\d,]+) parameters$", told, re.MULTILINE)]
    assert sum(inside) == total.params
    blocks = [
        int(n.replace(",", "")) for n in re.findall(r"^(?:block \d|head): ([\d,]+) parameters$", told, re.MULTILINE)
    ]
    assert sum(blocks) == total.params
    boxes = [patch.get_window_extent().padded(1) for patch in axes.patches if patch.get_gid() == "box"]
    for text in axes.texts:
        if text.get_text() and not text.get_text().startswith(("block", "head")):
            extent = text.get_window_extent()
            (box,) = [box for box in boxes if box.contains(extent.x0 + extent.width / 2, extent.y0 + extent.height / 2)]
            assert box.contains(extent.x0, extent.y0), text
            assert box.contains(extent.x1, extent.y1), text


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [Conv2D(8, padding="same"), Conv2D(4, kernel_size=1), MaxPooling2D(padding="same"), Dropout(0.1)]
        ),
        min_size=1,
        max_size=12,
    )
)
def test_blocks_hold_every_parameter_once(layers):
    architecture = Architecture((28, 28, 1), (*layers, GlobalAveragePooling2D(), Dense(10), SOFTMAX))
    blocks = blocks_of(architecture)
    assert sum(box.params for _, boxes in blocks for box in boxes) == cost(architecture).params
    assert all(boxes for _, boxes in blocks)
    assert blocks[-1][0] == "head"
