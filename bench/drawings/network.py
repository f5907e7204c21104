"""A tile as a flow: rows send units, columns receive them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.drawings.tile import (
    COOL,
    INK,
    KEPT,
    LINE,
    MUTED,
    SCORES,
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

# Where source, rows, columns and sink stand, from left to right.
SOURCE, ROWS, COLUMNS, SINK = 0.0, 1.5, 5.5, 7.0
RADIUS = 0.27


def draw_network() -> Figure:
    """Draw the scores of the tile with its mask, and the same as units in a network."""
    mask = solve().mask
    figure = new_figure(9.4, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=(4.6, 8))
    bare(left, "Scores, and the best 2:4 mask")
    draw_cells(left, mask, SCORES, fontsize=13)
    _name_sides(left)
    left.set(xlim=(-0.7, 4.1), ylim=(-4.75, 0.6))
    bare(right, "The same as a flow from rows to columns")
    _draw_arcs(right, mask)
    _draw_nodes(right)
    right.set(xlim=(-0.5, 7.5), ylim=(-4.75, 0.6))
    return figure


def _name_sides(axes: Axes) -> None:
    for index in range(M):
        axes.text(-0.3, -index - 0.5, f"r{index}", ha="center", va="center", color=MUTED)
        axes.text(index + 0.5, 0.25, f"c{index}", ha="center", va="center", color=MUTED)
    total = int(SCORES[solve().mask].sum())
    axes.text(0, -4.3, f"kept: {N} in each row and column, {total} in all", color=INK, fontsize=9)


def _height(index: int) -> float:
    return -index - 0.5


def _draw_arcs(axes: Axes, mask: np.ndarray) -> None:
    for (row, column), kept in np.ndenumerate(mask):
        ends = (_height(row), _height(column))
        colour, width = (KEPT, 2.2) if kept else (LINE, 1.0)
        axes.plot((ROWS, COLUMNS), ends, color=colour, lw=width, zorder=2 if kept else 1)
        if kept:
            # Labels of arcs that cross stand at different places along them.
            share = 0.16 + 0.045 * ((row + column) % 2)
            x = ROWS + share * (COLUMNS - ROWS)
            y = ends[0] + share * (ends[1] - ends[0])
            axes.text(
                x, y, str(SCORES[row, column]), fontsize=8.5, color=KEPT, ha="center", va="center",
                zorder=3, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
    for index in range(M):
        for ends_x, ends_y in (
            ((SOURCE, ROWS), (-M / 2, _height(index))),
            ((COLUMNS, SINK), (_height(index), -M / 2)),
        ):
            axes.plot(ends_x, ends_y, color=COOL, lw=2.2, zorder=1)


def _draw_nodes(axes: Axes) -> None:
    from matplotlib.patches import Circle

    nodes = [(SOURCE, -M / 2, f"+{N * M}"), (SINK, -M / 2, f"\N{MINUS SIGN}{N * M}")]
    nodes += [(ROWS, _height(index), f"r{index}") for index in range(M)]
    nodes += [(COLUMNS, _height(index), f"c{index}") for index in range(M)]
    for x, y, name in nodes:
        axes.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor=INK, lw=1.2, zorder=4))
        axes.text(x, y, name, ha="center", va="center", fontsize=9, color=INK, zorder=5)
    for x, told in ((SOURCE, "source"), (SINK, "sink")):
        axes.text(x, -M / 2 - 0.55, told, ha="center", color=MUTED, fontsize=9)
    for x in ((SOURCE + ROWS) / 2, (COLUMNS + SINK) / 2):
        axes.text(x, -4.3, f"{N} units each", ha="center", color=COOL, fontsize=9)
    axes.text(
        (ROWS + COLUMNS) / 2, -4.3, "an arc takes one unit, worth its score", ha="center",
        color=INK, fontsize=9,
    )  # fmt: skip
