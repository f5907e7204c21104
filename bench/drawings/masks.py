"""All masks of a small tile; and which of several best ones is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench.drawings.tile import INK, KEPT, LINE, MUTED, M, N, bare, draw_cells, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = 15
TIED: NDArray[np.int64] = np.array([[3, 1, 2, 1], [1, 2, 2, 1], [2, 2, 2, 1], [1, 3, 2, 2]])


def draw_all_masks() -> Figure:
    """Draw all 2:4 masks of a tile in canonical order."""
    from matplotlib.colors import ListedColormap

    masks = list(tnm.enumerate_masks(N, M))
    down = -(-len(masks) // ACROSS)
    figure = new_figure(9.4, 9.4 * down / ACROSS + 0.4)
    figure.suptitle(
        f"All {len(masks)} transposable {N}:{M} masks of a tile, in canonical order",
        x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK,
    )  # fmt: skip
    for axes, mask in zip(figure.subplots(down, ACROSS).flat, masks, strict=True):
        axes.imshow(mask, cmap=ListedColormap(["#eceff1", KEPT]), vmin=0, vmax=1)
        axes.set_xticks(np.arange(M + 1) - 0.5, [])
        axes.set_yticks(np.arange(M + 1) - 0.5, [])
        axes.tick_params(length=0)
        axes.grid(color="white", lw=1)
        axes.spines[:].set_color(LINE)
    return figure


def best_masks() -> list[NDArray[np.bool_]]:
    """List all masks of the tied tile that keep most."""
    masks = list(tnm.enumerate_masks(N, M))
    kept = [int(TIED[mask].sum()) for mask in masks]
    return [mask for mask, score in zip(masks, kept, strict=True) if score == max(kept)]


def draw_ties() -> Figure:
    """Draw every best mask of a tile whose scores tie, the one that is returned marked."""
    returned = tnm.transposable_mask(TIED, N, M)
    masks = best_masks()
    figure = new_figure(9.4, 9.4 / len(masks) * 1.28)
    for index, axes in enumerate(figure.subplots(1, len(masks))):
        mine = bool((masks[index] == returned).all())
        bare(axes)
        draw_cells(axes, masks[index], TIED, fontsize=9.5)
        axes.text(
            0, 0.25, "returned, always" if mine else "as good", fontsize=9.5,
            color=KEPT if mine else MUTED, fontweight="bold" if mine else "normal",
        )  # fmt: skip
        axes.set(xlim=(-0.1, 4.1), ylim=(-4.1, 0.8))
    return figure
