"""A corner of a mask as an inline picture that takes the colours of the page.

`tnm_core.plots` draws the same with matplotlib, which the command line does not need, on white.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from tnm_core.cli.report_page.markup import add, add_name
from tnm_core.cli.report_page.mask_corner import MaskCorner
from tnm_core.cli.tables import shape_text

_LEVELS = 4  # of magnitude
_LARGEST_DOT = 0.6  # of a cell
_MARGIN = 0.2


def add_picture(parent: Element, corner: MaskCorner) -> None:
    """Draw kept entries as cells, the stronger the larger; dropped ones as dots of their size."""
    figure = add(parent, "figure", class_="mask")
    add_name(figure, "figcaption", corner.name, class_="name")
    rows, columns = corner.kept.shape
    view = f"{-_MARGIN} {-_MARGIN} {columns + 2 * _MARGIN:g} {rows + 2 * _MARGIN:g}"
    label = f"Mask of {corner.name}, {_what_is_shown(corner)}"
    drawing = add(figure, "svg", viewBox=view, role="img", aria_label=label)
    add(drawing, "rect", class_="paper", width=str(columns), height=str(rows))
    levels = _levels(corner.magnitudes)
    for level in range(1, _LEVELS + 1):
        # What is kept is seen to be, however small it is.
        shown = corner.kept & (np.maximum(levels, 1) == level)
        _add_path(drawing, f"kept k{level}", _cells(shown))
        _add_path(drawing, "dot", _dots(~corner.kept & (levels == level), level))
    _add_path(drawing, "tiles", _tile_lines(corner))
    add(figure, "p", _what_is_shown(corner), class_="fine")


def _what_is_shown(corner: MaskCorner) -> str:
    n, m = corner.pattern.pair
    where = "row and column of a tile" if corner.pattern.transposable else f"{m} entries of a row"
    part, whole = shape_text(corner.kept.shape), shape_text(corner.shape)
    shown = f"all {whole}" if corner.kept.shape == corner.shape else f"{part} of {whole}"
    return f"{n} of {m} kept in every {where}; {shown} entries shown"


def _levels(magnitudes: NDArray[np.float64]) -> NDArray[np.intp]:
    """Sort magnitudes into a few levels, 0 for nothing; a few outliers share the highest."""
    limit = float(np.quantile(magnitudes, 0.98)) or float(magnitudes.max()) or 1.0
    levels: NDArray[np.intp] = np.ceil(np.minimum(magnitudes / limit, 1) * _LEVELS).astype(np.intp)
    return levels


def _add_path(drawing: Element, kind: str, path: str) -> None:
    if path:
        add(drawing, "path", class_=kind, d=path)


def _cells(shown: NDArray[np.bool_]) -> str:
    return "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(shown).tolist())


def _dots(shown: NDArray[np.bool_], level: int) -> str:
    size = _LARGEST_DOT * level / _LEVELS
    start = (1 - size) / 2
    return "".join(
        f"M{x + start:g} {y + start:g}h{size:g}v{size:g}h{-size:g}z"
        for y, x in np.argwhere(shown).tolist()
    )


def _tile_lines(corner: MaskCorner) -> str:
    """Draw lines around tiles; groups of a row-wise pattern have none across."""
    (rows, columns), m = corner.kept.shape, corner.pattern.m
    down = "".join(f"M{x} 0v{rows}" for x in _ends(columns, m))
    step = m if corner.pattern.transposable else rows
    return down + "".join(f"M0 {y}h{columns}" for y in _ends(rows, step))


def _ends(size: int, step: int) -> list[int]:
    return [*range(0, size, step), size]
