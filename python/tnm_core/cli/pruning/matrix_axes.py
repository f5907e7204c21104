"""How a tensor is read as matrices, and walked in panels of whole tile rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import product
from typing import Any

from numpy.typing import NDArray

from tnm_core.checkpoint import Box, cut_boxes
from tnm_core.skip import Skip, SkipCode
from tnm_core.weights import Layout

_PANEL_ENTRIES = 1 << 22


def panel_entries() -> int:
    """Entries of a panel: more would not be faster."""
    return _PANEL_ENTRIES


class ThreeD(str, Enum):
    """How 3-D tensors are read."""

    AUTO = "auto"
    SKIP = "skip"
    STACKED = "stacked"
    CONV1D = "conv1d"


class MatrixAxes(Enum):
    """Which axes of a tensor make the matrix [outputs, inputs], the last two.

    A convolution is one matrix per kernel position, so that no group crosses a filter; fused
    experts are one matrix each.
    """

    MATRIX = (0, 1)
    INPUTS_FIRST = (1, 0)
    STACKED = (0, 1, 2)
    STACKED_INPUTS_FIRST = (0, 2, 1)
    CONV1D = (2, 0, 1)
    CONV2D = (2, 3, 0, 1)
    CONV3D = (2, 3, 4, 0, 1)
    CONV_TRANSPOSE1D = (2, 1, 0)
    CONV_TRANSPOSE2D = (2, 3, 1, 0)
    CONV_TRANSPOSE3D = (2, 3, 4, 1, 0)

    @staticmethod
    def of(rank: int, layout: Layout | None, three_d: ThreeD = ThreeD.AUTO) -> MatrixAxes | Skip:
        """Tell how to read a tensor that lies so as matrices, or why not to."""
        if rank == 3 and three_d is not ThreeD.AUTO:
            return SkipCode.THREE_AXES() if three_d is ThreeD.SKIP else MatrixAxes[three_d.name]
        if layout is None:
            return SkipCode.THREE_AXES() if rank == 3 else SkipCode.OTHER_RANK(rank=rank)
        return _BY_LAYOUT.get(layout) or MatrixAxes[f"{_CONVOLUTIONS[layout]}{rank - 2}D"]

    def matrices(self, array: NDArray[Any]) -> NDArray[Any]:
        """View a tensor as matrices in its last two axes."""
        view: NDArray[Any] = array.transpose(self.value)
        return view

    def boxes(self, shape: Sequence[int], m: int, most: int, fortran: bool) -> Iterator[Box]:
        """Cut a tensor of some shape in boxes of whole tiles, in the order of memory."""
        units = [m if axis in self.value[-2:] else 1 for axis in range(len(shape))]
        return cut_boxes(shape, units, most, fortran=fortran)

    def index_text(self, index: Sequence[object]) -> str:
        """Spell where an entry of the matrix view, or a slice of it, lies in the tensor."""
        return ", ".join(str(index[self.value.index(axis)]) for axis in range(len(index)))


_BY_LAYOUT = {
    Layout.OUT_IN: MatrixAxes.MATRIX,
    Layout.IN_OUT: MatrixAxes.INPUTS_FIRST,
    Layout.EXPERTS_OUT_IN: MatrixAxes.STACKED,
    Layout.EXPERTS_IN_OUT: MatrixAxes.STACKED_INPUTS_FIRST,
}
_CONVOLUTIONS = {Layout.CONVOLUTION: "CONV", Layout.CONVOLUTION_IN_OUT: "CONV_TRANSPOSE"}


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


def panels(shape: Sequence[int], m: int, most: int) -> Iterator[tuple[slice, slice]]:
    """Cut rows, and where these are long columns, in panels of whole tiles of about ``most``."""
    *stack, rows, columns = shape
    depth = math.prod(stack) or 1
    width = columns
    if depth * m * columns > most:
        width = max(1, most // (depth * m * m)) * m
    height = max(1, most // (depth * m * max(1, width))) * m
    for top, left in product(range(0, rows, height), range(0, columns, width)):
        yield slice(top, min(rows, top + height)), slice(left, min(columns, left + width))
