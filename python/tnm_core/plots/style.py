"""What all pictures share: ink, paper, and axes without a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#22313f"
MUTED = "#8593a0"
LINE = "#e3e8ec"
# Told apart by colour-blind readers, too.
BLUE, ORANGE, PURPLE, GREEN, GREY = "#0072b2", "#e69f00", "#cc79a7", "#009e73", "#7f7f7f"


def new_figure(width: float, height: float) -> Figure:
    """Make an empty picture, its size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=160, layout="constrained", facecolor="white")


def plain_axes(axes: Axes) -> None:
    """Take away the frame and the tick marks."""
    axes.tick_params(length=0, colors=INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)
