"""How a tensor is read as matrices, and walked in panels of whole tile rows."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from numpy.typing import NDArray

_PANEL_ENTRIES = 1 << 22


class MatrixAxes(Enum):
    """Which axes of a tensor make the matrix [outputs, inputs].

    A convolution is one matrix per kernel position, so that no group crosses a filter.
    """

    MATRIX = "matrix"
    STACKED = "stacked"
    CONV1D = "conv1d"
    CONV2D = "conv2d"


_TO_MATRICES = {
    MatrixAxes.MATRIX: (0, 1),
    MatrixAxes.STACKED: (0, 1, 2),
    MatrixAxes.CONV1D: (2, 0, 1),
    MatrixAxes.CONV2D: (2, 3, 0, 1),
}


def matrices(array: NDArray[Any], axes: MatrixAxes) -> NDArray[Any]:
    """View a tensor as matrices in its last two axes."""
    view: NDArray[Any] = array.transpose(_TO_MATRICES[axes])
    return view


def matrix_shape(shape: tuple[int, ...], axes: MatrixAxes) -> tuple[int, int]:
    """Tell the shape of each matrix."""
    rows, columns = _TO_MATRICES[axes][-2:]
    return shape[rows], shape[columns]


def tensor_index(index: tuple[int, ...], axes: MatrixAxes) -> tuple[int, ...]:
    """Find where an entry of the matrix view lies in the tensor."""
    order = _TO_MATRICES[axes]
    return tuple(index[order.index(axis)] for axis in range(len(order)))


def group_slice(index: tuple[int, ...], axis: str, length: int, axes: MatrixAxes) -> str:
    """Spell a group of a row or column in the notation that picks it out of the tensor."""
    along = len(index) - (1 if axis == "row" else 2)
    parts = [str(position) for position in index]
    parts[along] = f"{index[along]}:{index[along] + length}"
    order = _TO_MATRICES[axes]
    return "[" + ", ".join(parts[order.index(axis)] for axis in range(len(order))) + "]"


def row_panels(view: NDArray[Any], m: int) -> Iterator[tuple[int, slice]]:
    """Cut the rows in panels of whole tiles, so that work arrays stay small.

    Yields the first row of each panel and its slice of the second-last axis. Tiles are
    independent of each other, so results by panel are those of the whole.
    """
    rows = view.shape[-2]
    per_row = max(1, view.size // max(1, rows))
    height = max(1, _PANEL_ENTRIES // (per_row * m)) * m
    for start in range(0, rows, height):
        yield start, slice(start, min(rows, start + height))
