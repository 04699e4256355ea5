"""Named figures, and how they are saved."""

import io
import warnings
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import final

from matplotlib.figure import Figure

from ..errors import InputError
from .style import in_own_style


@final
@dataclass(frozen=True)
class Figures:
    """Figures by name.

    Attributes:
        drawn: the figures that could be drawn.
        left_out: for each other figure one line that says why not.
    """

    drawn: Mapping[str, Figure]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """The figures as a notebook shows them, below each other, and why others are left out."""
        shown = [
            f'<img alt="{escape(name)}" src="data:image/png;base64,{b64encode(png(figure)).decode()}">'
            for name, figure in self.drawn.items()
        ]
        missing = [f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in self.left_out.items()]
        return "<br>".join(shown) + (f"<p>Left out:</p><ul>{''.join(missing)}</ul>" if missing else "")

    def only(self, *names: str) -> "Figures":
        """The figures of these `names` alone, or why they are left out; raises InputError for an unknown name."""
        for name in names:
            if name not in self.drawn and name not in self.left_out:
                known = ", ".join([*self.drawn, *self.left_out])
                raise InputError(f"there is no figure {name!r}: choose among {known}")
        return Figures(
            {name: self.drawn[name] for name in names if name in self.drawn},
            {name: self.left_out[name] for name in names if name in self.left_out},
        )

    def save(self, folder: str | Path) -> list[Path]:
        """Write every figure to `folder` as `NAME.png` and return the paths; creates the folder if needed."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths: list[Path] = []
        for name, figure in self.drawn.items():
            paths.append(folder / f"{name}.png")
            paths[-1].write_bytes(png(figure))
        return paths


@in_own_style
def png(figure: Figure) -> bytes:
    """`figure` as a PNG."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The font lacks a character of a name: it is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
