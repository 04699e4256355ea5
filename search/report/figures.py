"""A set of figures, and how it is saved."""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from matplotlib.figure import Figure


@final
@dataclass(frozen=True)
class Figures:
    """Figures by name.

    Attributes:
        drawn: those that could be drawn.
        left_out: why the others could not, in one line each.
    """

    drawn: Mapping[str, Figure]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: str | Path) -> list[Path]:
        """Write every figure as `NAME.png` into `folder`, which is made when it is not there; returns the paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths: list[Path] = []
        for name, figure in self.drawn.items():
            paths.append(folder / f"{name}.png")
            paths[-1].write_bytes(png(figure))
        return paths


def png(figure: Figure) -> bytes:
    """`figure` as a PNG."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Of a name in a script that the font does not have: drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
