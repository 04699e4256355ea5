"""Changes of training images at random: how far an image may be turned, moved, scaled and lit."""

import math
from dataclasses import dataclass
from typing import Any, final

from .errors import InputError

DRAWS = 7
"""Numbers that are drawn for each image."""


@final
@dataclass(frozen=True)
class Augmentation:
    """What is done to training images at random, anew in every epoch; nothing by default.

    Each image draws its own numbers, evenly from the ranges. Rotation and zoom are about its middle, in pixels, also
    where it is not square. Values between pixels are interpolated (bilinear), those from outside are 0. Images of a
    validation or a test are never changed, and nothing of it is in a trained model.

    Args:
        rotation: an image is turned by up to this many degrees, from 0 to 180, either way.
        shift: it is moved by up to this share of its height and of its width, from 0 to 1, either way.
        zoom: it is scaled by a factor from 1 - zoom to 1 + zoom; at least 0 and below 1.
        brightness: its values are multiplied by a factor from 1 - brightness to 1 + brightness; from 0 to 1.
        contrast: the distances of its values from their mean are multiplied by a factor from 1 - contrast to
            1 + contrast; from 0 to 1. The mean is that of the whole image, all channels. Values are not cut off.
        share: the share of the images that are changed, from 0 to 1; the others stay as they are.

    Raises InputError for any other argument.
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.rotation <= 180:
            raise InputError(f"rotation={self.rotation}: give degrees from 0 to 180")
        if not 0 <= self.zoom < 1:
            raise InputError(f"zoom={self.zoom}: give a number of at least 0 and below 1")
        for name in ("shift", "brightness", "contrast", "share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)}: give a number from 0 to 1")

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return self.share > 0 and max(self.rotation, self.shift, self.zoom) > 0

    @property
    def lights(self) -> bool:
        """Whether values change in their place."""
        return self.share > 0 and max(self.brightness, self.contrast) > 0

    def maps(self, draws: Any, height: int, width: int, library: Any) -> Any:
        """Where each pixel of a changed image comes from.

        Args:
            draws: float32 (n, DRAWS), evenly from 0 to 1.
            height, width: of the images, in pixels.
            library: of these arrays: NumPy, or one with its functions where, cos, sin and stack.

        Returns float32 (n, 6): a, b, c, d, e, f of each image. The pixel in column x and row y, counted from 0, comes
        from the column a x + b y + c and the row d x + e y + f.
        """
        is_changed, signed = self._split(draws)
        angle = library.where(is_changed, signed[:, 0] * (self.rotation * math.pi / 180), 0.0)
        down = library.where(is_changed, signed[:, 1] * (self.shift * height), 0.0)
        right = library.where(is_changed, signed[:, 2] * (self.shift * width), 0.0)
        scale = library.where(is_changed, 1 + signed[:, 3] * self.zoom, 1.0)
        cosine, sine = library.cos(angle) / scale, library.sin(angle) / scale
        # The middle goes to the middle, moved; from there the inverse of a rotation and a scaling goes back.
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        from_x, from_y = -(middle_x + right), -(middle_y + down)
        column = cosine * from_x + sine * from_y + middle_x
        row = -sine * from_x + cosine * from_y + middle_y
        return library.stack([cosine, sine, column, -sine, cosine, row], 1)

    def lighting(self, draws: Any, library: Any) -> tuple[Any, Any]:
        """Factors of each image, float32 (n,): of all its values, and of their distances from their mean then.

        Args:
            draws, library: as for `maps`.
        """
        is_changed, signed = self._split(draws)
        brightness = library.where(is_changed, 1 + signed[:, 4] * self.brightness, 1.0)
        contrast = library.where(is_changed, 1 + signed[:, 5] * self.contrast, 1.0)
        return brightness, contrast

    def _split(self, draws: Any) -> tuple[Any, Any]:
        """Which images are changed, and for each of them numbers from -1 to 1."""
        return draws[:, 0] < self.share, draws[:, 1:] * 2 - 1
