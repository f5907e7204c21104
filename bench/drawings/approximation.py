"""The 2-approximation: what it prunes, beside what the optimum prunes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench.drawings.tile import (
    COOL,
    INK,
    SCORES,
    WARM,
    M,
    N,
    bare,
    draw_cells,
    new_figure,
    solve,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRUNED = M - N


def draw_approximation() -> Figure:
    """Draw the lightest entries of rows and of columns, and both masks."""
    published = tnm.transposable_mask(SCORES, N, M, method="two_approximation", complete=False)
    optimal = solve().mask
    figure = new_figure(9.6, 3.9)
    panels = figure.subplots(1, 3)
    bare(panels[0], f"The {PRUNED} lightest of each line")
    draw_cells(panels[0], published, SCORES, fontsize=13)
    _strike(panels[0])
    bare(panels[1], f"The 2-approximation prunes {_pruned(published)}")
    draw_cells(panels[1], published, SCORES, fontsize=13)
    bare(panels[2], f"The optimum prunes {_pruned(optimal)}")
    draw_cells(panels[2], optimal, SCORES, fontsize=13)
    pruned = f"{_pruned(published)} is at most twice {_pruned(optimal)}"
    told = (
        "orange: of its row; blue: of its column",
        f"all that is marked; it keeps {int(published.sum())} of {N * M}",
        f"{PRUNED} in each row and column; {pruned}",
    )
    for axes, text in zip(panels, told, strict=True):
        axes.text(0, -4.4, text, fontsize=8.5, color=INK)
        axes.set(xlim=(-0.1, 4.1), ylim=(-4.6, 0.2))
    return figure


def lightest(axis: int) -> NDArray[np.bool_]:
    """Mark the entries that are pruned for the sake of their row (axis 1) or column (axis 0)."""
    # Of equal scores the later one goes first, as in the library.
    ranks = SCORES * SCORES.size - np.arange(SCORES.size).reshape(SCORES.shape)
    return np.asarray(ranks.argsort(axis=axis).argsort(axis=axis) < PRUNED)


def _pruned(mask: NDArray[np.bool_]) -> int:
    return int(SCORES[~mask].sum())


def _strike(axes: Axes) -> None:
    for axis, colour in ((1, WARM), (0, COOL)):
        for row, column in np.argwhere(lightest(axis)):
            x, y = column + 0.5, -row - 0.5
            ends = (
                ((x - 0.36, x + 0.36), (y - 0.36, y - 0.36))
                if axis == 1
                else ((x - 0.36, x - 0.36), (y - 0.36, y + 0.36))
            )
            axes.plot(*ends, color=colour, lw=2.2)
