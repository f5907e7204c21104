"""Duality: prices of rows and columns that no mask can beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.drawings.tile import (
    COOL,
    INK,
    KEPT,
    MUTED,
    SCORES,
    M,
    N,
    Solved,
    bare,
    draw_cells,
    new_figure,
    number,
    solve,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_prices() -> Figure:
    """Draw scores beside their prices, what is above or below them, and the sum that proves it."""
    solved = solve()
    figure = new_figure(9.4, 4.5)
    left, right = figure.subplots(1, 2)
    bare(left, "Scores s, a price for each row and column")
    draw_cells(left, solved.mask, SCORES, fontsize=13)
    bare(
        right,
        "s \N{MINUS SIGN} u \N{MINUS SIGN} v, what is above its prices",
    )
    texts = np.array([[number(value) for value in row] for row in solved.above])
    draw_cells(right, solved.mask, texts, fontsize=12)
    for axes in (left, right):
        _draw_sides(axes, solved)
        axes.set(xlim=(-1.2, 4.2), ylim=(-5.0, 0.9))
    _write_sums(figure, solved)
    return figure


def _draw_sides(axes: Axes, solved: Solved) -> None:
    for index in range(M):
        row, column = number(solved.rows[index]), number(solved.columns[index])
        axes.text(-0.35, -index - 0.5, row, ha="center", va="center", color=COOL, fontsize=11)
        axes.text(index + 0.5, 0.3, column, ha="center", va="center", color=COOL, fontsize=11)
    axes.text(-0.35, 0.3, "u \\ v", ha="center", va="center", color=MUTED, fontsize=9)


def _write_sums(figure: Figure, solved: Solved) -> None:
    kept = int(SCORES[solved.mask].sum())
    above = number(float(np.maximum(0, solved.above).sum()))
    rows, columns = number(float(solved.rows.sum())), number(float(solved.columns.sum()))
    left, right = figure.axes
    left.text(0, -4.5, f"the mask keeps {kept}", color=KEPT, fontsize=10.5, fontweight="bold")
    bound = (
        f"{N} \N{MULTIPLICATION SIGN} ({rows}) + {N} \N{MULTIPLICATION SIGN} {columns} + {above}"
    )
    right.text(
        0, -4.5, f"no mask keeps more than {bound} = {number(solved.bound)}", color=COOL,
        fontsize=10.5, fontweight="bold",
    )  # fmt: skip
    right.text(
        0, -4.9, f"{N} times the sum of u, {N} times the sum of v, and what is above its prices",
        color=INK, fontsize=8.5,
    )  # fmt: skip
