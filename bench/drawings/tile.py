"""The tile of all drawings, its masks, and how a tile of cells is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE = "#22313f", "#8593a0", "#d5dce2"
KEPT, KEPT_GROUND, DROPPED_GROUND = "#0b6e4f", "#cfe9de", "#f3f4f5"
WARM, COOL = "#b3662e", "#3b5b92"

N, M = 2, 4
# One mask is optimal, and neither greedy nor the 2-approximation finds it.
SCORES: NDArray[np.int64] = np.array([[9, 4, 8, 5], [8, 6, 8, 2], [7, 7, 4, 8], [7, 1, 2, 9]])


@dataclass(frozen=True)
class Solved:
    """The optimal mask of the tile with the prices that prove it."""

    mask: NDArray[np.bool_]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    bound: float

    @property
    def above(self) -> NDArray[np.float64]:
        """By how much each score exceeds the two prices of its entry."""
        return SCORES - self.rows[:, None] - self.columns


def solve() -> Solved:
    """Find the mask, and verify its certificate."""
    mask, proof = tnm.transposable_mask(SCORES, N, M, return_certificate=True)
    proof.verify(SCORES, mask)
    rows, columns = proof.row_prices[0, 0], proof.column_prices[0, 0]
    above = SCORES - rows[:, None] - columns
    bound = N * rows.sum() + N * columns.sum() + np.maximum(0, above).sum()
    return Solved(mask, rows, columns, float(bound))


def new_figure(width: float, height: float) -> Figure:
    """Make an empty picture, its size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")


def bare(axes: Axes, title: str = "") -> None:
    """Take away all that belongs to a diagram of measurements."""
    axes.set_axis_off()
    axes.set_aspect("equal")
    if title:
        axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK)


def draw_cells(
    axes: Axes,
    mask: NDArray[np.bool_],
    texts: NDArray[Any] | None = None,
    *,
    at: tuple[float, float] = (0, 0),
    size: float = 1,
    fontsize: float = 11,
) -> None:
    """Draw a square for each entry, kept ones in colour, the first row on top."""
    from matplotlib.patches import Rectangle

    for (row, column), kept in np.ndenumerate(mask):
        x, y = at[0] + column * size, at[1] - (row + 1) * size
        colour = KEPT_GROUND if kept else DROPPED_GROUND
        edge = KEPT if kept else LINE
        axes.add_patch(Rectangle((x, y), size, size, facecolor=colour, edgecolor="white", lw=0))
        inset = 0.05 * size
        axes.add_patch(
            Rectangle(
                (x + inset, y + inset), size - 2 * inset, size - 2 * inset,
                facecolor=colour, edgecolor=edge, lw=1.1 if kept else 0.7,
            )
        )  # fmt: skip
        if texts is not None:
            axes.text(
                x + size / 2, y + size / 2, str(texts[row, column]), ha="center", va="center",
                fontsize=fontsize, color=INK if kept else MUTED,
                fontweight="bold" if kept else "normal",
            )  # fmt: skip


def number(value: float) -> str:
    """Two places at most; a minus as long as it should be."""
    rounded = round(value, 2) + 0.0  # no minus before zero
    return f"{rounded:g}".replace("-", "\N{MINUS SIGN}")
