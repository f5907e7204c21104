"""A packed matrix: kept values, one bit for each entry, and which product reads which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench.drawings.tile import INK, KEPT, M, N, bare, draw_cells, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 8
CELL = 0.5


def draw_packing() -> Figure:
    """Draw a weight and its transpose, each with what is packed of it."""
    weights = np.random.default_rng(3).integers(1, 10, (SIDE, SIDE)).astype(np.float32)
    mask = tnm.transposable_mask(weights, N, M)
    figure = new_figure(9.6, 4.6)
    panels = figure.subplots(1, 2)
    titles = (
        "W packed: the forward product Y = X W\N{MODIFIER LETTER CAPITAL T}",
        "W\N{MODIFIER LETTER CAPITAL T} packed: the input gradient dX = dY W",
    )
    for axes, title, one, kept in zip(
        panels, titles, (weights, weights.T), (mask, mask.T), strict=True
    ):
        bare(axes, title)
        _draw_packed(axes, np.ascontiguousarray(one), np.ascontiguousarray(kept))
    return figure


def _draw_packed(axes: Axes, weights: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    arrays = tnm.pack(weights, mask).to_arrays()
    values = iter(arrays.values.tolist())
    bits = np.unpackbits(arrays.bits, count=SIDE * SIDE, bitorder="little")
    rows = bits.reshape(SIDE, SIDE).astype(bool)
    draw_cells(axes, rows, weights.astype(int), size=CELL, fontsize=8)
    for index, row in enumerate(rows):
        y = -(index + 0.5) * CELL
        told = "".join("1" if bit else "0" for bit in row)
        axes.text(SIDE * CELL + 0.25, y, told, family="monospace", fontsize=8.5, va="center",
                  color=INK)  # fmt: skip
        kept = " ".join(f"{next(values):g}" for _ in range(int(row.sum())))
        axes.text(SIDE * CELL + 2.05, y, kept, fontsize=9, va="center", color=KEPT,
                  fontweight="bold")  # fmt: skip
    for x, told in ((0, "dropped entries are grey"), (SIDE * CELL + 0.25, "bits"),
                    (SIDE * CELL + 2.05, "values")):  # fmt: skip
        axes.text(x, -SIDE * CELL - 0.3, told, fontsize=8.5, color=INK)
    axes.set(xlim=(-0.05, 7.4), ylim=(-SIDE * CELL - 0.5, 0.1))
