"""Checks of how a figure is drawn, for tests that cannot look at it."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from kerastuna.search.report.figures import png


def all_text(figure: Figure) -> str:
    """All texts of `figure`, one on each line."""
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def check_layout(figure: Figure) -> None:
    """Fail if a text is cut off by the edge of `figure`, or overlaps another text of the same axes or axis."""
    png(figure)  # lays it out, and draws it in its own style
    hidden = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _out_of_view(axis)}
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in hidden]
    width, height = figure.canvas.get_width_height()
    for text in texts:
        box = text.get_window_extent()
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for axes in figure.axes:
        for group in (axes.get_xticklabels(), axes.get_yticklabels(), axes.texts):
            boxes = [(t.get_window_extent().padded(-1), t) for t in group if t in texts]
            for place, (box, text) in enumerate(boxes):
                touched = [other for other_box, other in boxes[place + 1 :] if box.overlaps(other_box)]
                assert not touched, (text, touched)


def _out_of_view(axis: Any) -> list[Text]:
    """The labels of ticks beyond the ends of `axis`, which are not drawn."""
    low, high = sorted(axis.get_view_interval())
    return [
        label
        for tick in axis.get_major_ticks()
        if not low <= tick.get_loc() <= high
        for label in (tick.label1, tick.label2)
    ]
