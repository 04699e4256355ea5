"""Published networks as points of `ConvNet`: the course assignments (EIP, session 2) that Kerastuna starts from.

All were made for MNIST with about 15,000 parameters, and were selected by the test accuracy that they report. They
share a recipe: Adam for 20 epochs with the learning rate 0.003 / (1 + 0.319 e) in epoch e; `eip_1` used a constant
0.001.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

HyperparameterValues = Mapping[str, int | float | str | bool]

_SCHEDULE: HyperparameterValues = {"learning_rate": 0.003, "decay": "inverse_time", "decay_rate": 0.319}


@final
@dataclass(frozen=True)
class Reference:
    """A network with its recipe.

    Attributes:
        name: such as "eip_3".
        values: the values of its active hyperparameters in its space.
        reported_params: as published: all, trainable and other parameters; None where they were not.
        reported_test_accuracy: as published; a share from 0 to 1.
        note: where it is from, and which parts of it were published.
        space: its space, as `kerastuna search --space` takes it.
        budget: the parameters that the networks of its space fill; None where they fill none.
    """

    name: str
    values: HyperparameterValues
    reported_params: tuple[int, int, int] | None
    reported_test_accuracy: float
    note: str
    space: str = "convnet"
    budget: int | None = None


def _point(blocks: str, head: str, batch_size: int, **recipe: int | float | str | bool) -> HyperparameterValues:
    """The point of `blocks`, such as "16-32-p16 16-32+p10": "-p" is before and "+p" after pooling."""
    words = blocks.split()
    values: dict[str, int | float | str | bool] = {"blocks": len(words)}
    for number, word in enumerate(words, start=1):
        block = f"block{number}"
        convs, after, after_width = word.partition("+p")
        convs, before, before_width = convs.partition("-p")
        widths = [int(width) for width in convs.split("-")]
        values[f"{block}_convs"] = len(widths)
        values |= {f"{block}_conv{conv}": width for conv, width in enumerate(widths, start=1)}
        values[f"{block}_pointwise"] = "before_pool" if before else "after_pool" if after else "none"
        if before or after:
            values[f"{block}_pointwise_width"] = int(before_width or after_width)
    values |= {"head_pointwise": False, "head": head, "dropout": 0.1, "batch_size": batch_size}
    return MappingProxyType({**values, **(recipe or _SCHEDULE)})


REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {
        reference.name: reference
        for reference in (
            Reference(
                "eip_1",
                _point("16-32-p16 16-32-p16", "conv", 32, learning_rate=0.001, decay="constant"),
                (15_810, 15_598, 212),
                0.9934,
                "architecture and recipe as published; over 15,000 parameters",
            ),
            Reference(
                "eip_2",
                _point("16-32-p16 16-32-p16", "conv", 128),
                (15_810, 15_598, 212),
                0.9938,
                "architecture and recipe as published, but from new weights: the original continued from eip_1's",
            ),
            Reference(
                "eip_3",
                _point("16-32-p16 16-32+p10", "conv", 64),
                (14_652, 14_440, 212),
                0.9941,
                "architecture and recipe as published",
            ),
            Reference(
                "eip_4",
                _point("16-32-p16 16-24+p10", "conv", 64),
                None,
                0.9944,
                "not the original: only that block 2 has fewer kernels was published; these widths are our choice",
            ),
            Reference(
                "eip_5",
                _point("14-40-p10 16-46+p10", "gap", 64),
                (14_840, 14_588, 252),
                0.9946,
                "not the original: a network with the published parameter counts; these widths are our choice",
            ),
        )
    }
)
"""The published networks by name; each accuracy is of one run that was selected on the test set."""
