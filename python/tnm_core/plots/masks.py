"""Pictures of masks; needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core.arguments import as_array
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.plots.style import INK, LINE, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

_KEPT = "#2a6f97"
# Kept cells always have a hue, yellow near zero; dropped ones are grey, which the scale has not.
_SCALE = "RdYlBu_r"
_DROPPED = "#bfbfbf"
_DOT = "#333333"
_CELL = 0.19  # inches
_LONGEST_SIDE = 30.0
_LABEL = 0.35
_BESIDE, _LETTER = 1.4, 0.066  # what follows the cells on the right; a letter of a note
_DOT_AREA = 44.0  # of the largest dot, in a cell of that size
_DOTS_EXPLAINED = (0.25, 0.5, 1.0)


def plot_mask(
    mask: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    weights: ArrayLike | None = None,
    transposable: bool | None = None,
    rows: int = 32,
    columns: int = 48,
    title: str | None = None,
) -> Figure:
    """Draw the upper left part of a mask, with the tiles visible.

    Parameters
    ----------
    mask : array of bool, 2-D
        What is kept.
    n, m : int
        The pattern; lines are drawn around the m x m tiles. In place of both n may be a pattern:
        text such as ``"2:4"`` or, row-wise, ``"row 2:4"``, a pair ``(2, 4)`` or a `Pattern`.
    weights : array, 2-D, optional
        Colours the kept entries, and marks dropped ones by a dot as large as their magnitude
        (of pruned weights these are zero, so there is no dot). Whatever their value, kept entries
        have a hue and dropped ones are grey.
    transposable : bool, optional
        Whether the pattern holds along rows and columns, or along rows alone; by default as the
        pattern says, and for n and m both.
    rows, columns : int
        How much to draw.
    title : str, optional
        Stands above the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig("mask.png")``.
    """
    pattern = as_pattern(n, m, transposable=transposable)
    kept = as_array(mask, "mask").astype(np.bool_)
    if kept.ndim != 2 or 0 in kept.shape:
        raise ValueError(f"mask has shape {kept.shape}; expected a 2-D mask that is not empty")
    values = None if weights is None else as_array(weights, "weights").astype(np.float64)
    if values is not None and values.shape != kept.shape:
        raise ValueError(f"weights have shape {values.shape}; expected {kept.shape}, as the mask")
    part = kept[:rows, :columns]
    cell = min(_CELL, _LONGEST_SIDE / max(part.shape))
    height, width = (cell * size for size in part.shape)
    figure = new_figure(max(5.6, 1.9 + width), 1.9 + height)
    axes = figure.add_subplot()
    axes.set_facecolor(_DROPPED)
    if values is None:
        axes.imshow(np.where(part, 1.0, np.nan), cmap=_one_colour(), vmin=0, vmax=1)
        _add_legend(figure, part, kept_colour=_KEPT)
    else:
        limit = _draw_weights(figure, axes, part, values[:rows, :columns], cell)
        dots = limit if (values[:rows, :columns][~part] != 0).any() else None
        _add_legend(figure, part, dots=dots, cell=cell)
    _draw_tiles(axes, part.shape, pattern.m, cell)
    _label_mask(axes, kept.shape, part, pattern, cell)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, weight="bold", color=INK)
    return figure


def _one_colour() -> ListedColormap:
    from matplotlib.colors import ListedColormap

    return ListedColormap([_KEPT])


def _draw_weights(
    figure: Figure,
    axes: Axes,
    kept: NDArray[np.bool_],
    values: NDArray[np.float64],
    cell: float,
) -> float:
    """Draw kept weights as coloured cells, dropped ones as dots; return where the scale ends."""
    limit = float(np.quantile(np.abs(values[kept]), 0.98)) if kept.any() else 0.0
    limit = limit or 1.0
    shown = np.where(kept, values, np.nan)
    image = axes.imshow(shown, cmap=_SCALE, vmin=-limit, vmax=limit)
    row, column = np.nonzero(~kept & (values != 0))
    share = np.minimum(np.abs(values[row, column]) / limit, 1.0)
    axes.scatter(column, row, s=_dot_area(cell) * share, color=_DOT, linewidths=0)
    bar = figure.colorbar(image, ax=axes, extend="both", fraction=0.04, pad=0.02, shrink=0.8)
    bar.set_label("kept weight", color=INK, fontsize=8)
    bar.ax.tick_params(labelsize=8, length=0, colors=INK)
    return limit


def _dot_area(cell: float) -> float:
    return _DOT_AREA * (cell / _CELL) ** 2


def _add_legend(
    figure: Figure,
    kept: NDArray[np.bool_],
    *,
    kept_colour: str | None = None,
    dots: float | None = None,
    cell: float = _CELL,
) -> None:
    """Explain grey cells, and the dots on them with the magnitudes that they stand for."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = []
    if kept_colour is not None:
        handles.append(Patch(color=kept_colour, label="kept"))
    if not kept.all():
        handles.append(Patch(color=_DROPPED, label="dropped"))
    if dots is not None:
        for share in _DOTS_EXPLAINED:
            end = " or more" if share == _DOTS_EXPLAINED[-1] else ""
            size = (_dot_area(cell) * share) ** 0.5
            label = f"dropped, magnitude {share * dots:.2g}{end}"
            handles.append(
                Line2D([], [], ls="", marker="o", mew=0, ms=size, color=_DOT, label=label)
            )
    wide = figure.get_size_inches()[0] > 8
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles) if wide else 2,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )


def _draw_tiles(axes: Axes, shape: tuple[int, ...], m: int, cell: float) -> None:
    """Draw thin lines between cells, strong ones around tiles."""
    rows, columns = shape
    thin = min(1.0, cell / _CELL)
    for draw_line, count in ((axes.axhline, rows), (axes.axvline, columns)):
        for position in range(count + 1):
            tile = position % m == 0
            draw_line(position - 0.5, color=INK if tile else LINE, lw=thin * (1.1 if tile else 0.5))
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def _label_mask(
    axes: Axes,
    whole: tuple[int, ...],
    part: NDArray[np.bool_],
    pattern: Pattern,
    cell: float,
) -> None:
    rows, columns = part.shape
    n, m = pattern.pair
    step = m * max(1, round(_LABEL / (m * cell)))  # labels need room
    axes.set_xticks(range(0, columns, step))
    axes.set_yticks(range(0, rows, step))
    plain_axes(axes)
    axes.set_xlabel("input (column)", color=INK, fontsize=8.5)
    axes.set_ylabel("output (row)", color=INK, fontsize=8.5)
    where = "row and column of each tile" if pattern.transposable else f"{m} entries of a row"
    notes = [f"{n} of {m} kept in every {where}"]
    if part.shape != whole:
        notes.append(f"{rows} x {columns} of {whole[0]} x {whole[1]} shown")
    room = int((columns * cell + _BESIDE) / _LETTER)
    if len("; ".join(notes)) <= room:
        notes = ["; ".join(notes)]
    lines = [line for note in notes for line in textwrap.wrap(note, room)]
    axes.set_title("\n".join(lines), loc="left", fontsize=8.5, color=INK)
