"""Pictures of masks and of retained scores; needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core.arguments import as_array
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PURPLE,
    new_figure,
    plain_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KEPT = "#2a6f97"
_MAX_NAMES = 90  # more layers than this, and their names would overlap

# Kind in a report -> label, colour, marker.
_KINDS = {
    "optimal": ("transposable, optimal", BLUE, "o"),
    "two_approximation": ("transposable, 2-approximation", PURPLE, "v"),
    "greedy": ("transposable, greedy", GREEN, "^"),
    "rowwise": ("row-wise", ORANGE, "s"),
    "unstructured": ("unstructured", GREY, "D"),
}


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
        (of pruned weights these are zero, so there is no dot).
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
    size = (max(5.6, 1.9 + 0.19 * part.shape[1]), 1.5 + 0.19 * part.shape[0])
    figure = new_figure(*size)
    axes = figure.add_subplot()
    if values is None:
        axes.imshow(np.where(part, 1.0, np.nan), cmap=_one_colour(), vmin=0, vmax=1)
    else:
        _draw_weights(figure, axes, part, values[:rows, :columns])
    _draw_tiles(axes, part.shape, pattern.m)
    _label_mask(axes, kept.shape, part, pattern, title)
    return figure


def plot_retained(reports: Sequence[Mapping[str, Any]], *, title: str | None = None) -> Figure:
    """Draw what each layer retains of its score, one panel per report.

    Parameters
    ----------
    reports : sequence of mapping
        Reports as ``tnm prune --json`` prints them.
    title : str, optional
        Stands above the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig("retained.png")``.
    """
    if not reports:
        raise ValueError("no reports were given; expected at least one")
    names = list(dict.fromkeys(layer["name"] for report in reports for layer in report["layers"]))
    height = 1.9 + 0.21 * min(len(names) + 1, _MAX_NAMES)
    figure = new_figure(3.2 + 4.1 * len(reports), height)
    panels = figure.subplots(1, len(reports), sharey=True, sharex=True, squeeze=False)[0]
    for axes, report in zip(panels, reports, strict=True):
        _draw_report(axes, report, names)
    _label_layers(panels[0], names)
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.suptitle(title or "Retained score by layer", x=0.01, ha="left", weight="bold")
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
    )
    return figure


def _one_colour() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([_KEPT])


def _draw_weights(
    figure: Figure, axes: Axes, kept: NDArray[np.bool_], values: NDArray[np.float64]
) -> None:
    """Draw kept weights as coloured cells, dropped ones as dots."""
    limit = float(np.quantile(np.abs(values[kept]), 0.98)) if kept.any() else 0.0
    limit = limit or 1.0
    shown = np.where(kept, values, np.nan)
    image = axes.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit)
    row, column = np.nonzero(~kept & (values != 0))
    share = np.minimum(np.abs(values[row, column]) / limit, 1.0)
    axes.scatter(column, row, s=40 * share, color=MUTED, linewidths=0)
    bar = figure.colorbar(image, ax=axes, extend="both", fraction=0.04, pad=0.02, shrink=0.8)
    note = " (dots: dropped, by magnitude)" if row.size else ""
    bar.set_label(f"kept weight{note}", color=INK, fontsize=8)
    bar.ax.tick_params(labelsize=8, length=0, colors=INK)
    bar.outline.set_visible(False)


def _draw_tiles(axes: Axes, shape: tuple[int, ...], m: int) -> None:
    """Draw thin lines between cells, strong ones around tiles."""
    rows, columns = shape
    for draw_line, count in ((axes.axhline, rows), (axes.axvline, columns)):
        for position in range(count + 1):
            tile = position % m == 0
            draw_line(position - 0.5, color=INK if tile else LINE, lw=1.1 if tile else 0.5)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def _label_mask(
    axes: Axes,
    whole: tuple[int, ...],
    part: NDArray[np.bool_],
    pattern: Pattern,
    title: str | None,
) -> None:
    rows, columns = part.shape
    n, m = pattern.pair
    axes.set_xticks(range(0, columns, m))
    axes.set_yticks(range(0, rows, m))
    plain_axes(axes)
    axes.set_xlabel("input (column)", color=INK, fontsize=8.5)
    axes.set_ylabel("output (row)", color=INK, fontsize=8.5)
    where = "row and column of each tile" if pattern.transposable else f"{m} entries of a row"
    note = f"{n} of {m} kept in every {where}"
    if part.shape != whole:
        gap = "; " if columns > 36 else "\n"
        note += f"{gap}{rows} x {columns} of {whole[0]} x {whole[1]} shown"
    axes.set_title(note, loc="left", fontsize=8.5, color=INK)
    if title:
        axes.annotate(
            title,
            (0, 1),
            xytext=(0, 19 + 11 * note.count("\n")),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=10,
            weight="bold",
            color=INK,
        )


def _draw_report(axes: Axes, report: Mapping[str, Any], names: Sequence[str]) -> None:
    """Draw one panel: a row for each layer and one for the total, a marker for each kind."""
    layers = {layer["name"]: layer["retained"] for layer in report["layers"]}
    kinds = [kind for kind in _KINDS if kind in report["total"]["retained"]]
    places = {name: place for place, name in enumerate(names)}
    lines = [(places[name], retained) for name, retained in layers.items()]
    lines.append((len(names), report["total"]["retained"]))
    for position, retained in lines:
        spread = [retained[kind] for kind in kinds]
        axes.plot([min(spread), max(spread)], [position] * 2, color=LINE, lw=2, zorder=1)
    for kind in kinds:
        label, colour, marker = _KINDS[kind]
        axes.scatter(
            [retained[kind] for _, retained in lines],
            [position for position, _ in lines],
            s=[22] * len(layers) + [52],
            color=colour,
            marker=marker,
            label=label,
            zorder=2,
            linewidths=0,
        )
        total = report["total"]["retained"][kind]
        place = (total, len(names) + 0.45)
        axes.annotate(f"{total:.3f}", place, ha="center", va="top", fontsize=8, color=colour)
    axes.axhline(len(names) - 0.5, color=MUTED, lw=0.8)
    axes.set_title(report["pattern"], loc="left", fontsize=10, weight="bold", color=INK)
    axes.set_xlabel(f"retained {report.get('score', 'abs')} score", color=INK)
    axes.grid(axis="x", color=LINE, lw=0.7)
    axes.set_axisbelow(True)
    plain_axes(axes)


def _label_layers(axes: Axes, names: Sequence[str]) -> None:
    """Write names without what all of them share; only some if there are too many."""
    step = -(-len(names) // _MAX_NAMES)
    positions = list(range(0, len(names), step))
    short = _short_names(names)
    axes.set_yticks([*positions, len(names)], [*(short[place] for place in positions), "total"])
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.set_ylim(len(names) + 1.5, -0.6)


def _short_names(names: Sequence[str]) -> list[str]:
    """Drop the leading and trailing parts, between dots, that all names share."""
    parts = [name.split(".") for name in names]
    if len(parts) < 2:
        return list(names)
    head = _common(parts)
    tail = _common([part[head:][::-1] for part in parts])
    return [
        ".".join(part[head : len(part) - tail]) or name
        for part, name in zip(parts, names, strict=True)
    ]


def _common(parts: Sequence[Sequence[str]]) -> int:
    """Count the leading elements that all sequences share."""
    same = [len(set(column)) == 1 for column in zip(*parts, strict=False)]
    return same.index(False) if False in same else len(same)
