"""An array in parts of many tiles, small enough to stay in the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part", "parts_of"]

_ENTRIES = 2**15


class Part(NamedTuple):
    """Rows of tiles that are equally high, of one matrix or of neighbours in the last batch axis.

    Arrays of a part have axes for the matrices and the rows of tiles first.
    """

    outer: tuple[int, ...]
    planes: slice
    tile_rows: slice
    rows: slice
    is_batch: bool

    def entries(self, array: NDArray[Any]) -> NDArray[Any]:
        """Look at entries as (..., height, columns)."""
        block = self._matrices(array)[self.planes, self.rows]
        count = self.tile_rows.stop - self.tile_rows.start
        return block.reshape(block.shape[0], count, block.shape[1] // count, block.shape[2])

    def of_tiles(self, values: NDArray[Any]) -> NDArray[Any]:
        """Look at what there is for each tile as (..., tile columns, and what follows)."""
        return self._matrices(values)[self.planes, self.tile_rows]

    def check(self, holds: NDArray[np.bool_], reason: str) -> None:
        """Raise unless something holds on all tiles."""
        if holds.all():
            return
        plane, row, column = (int(k) for k in np.unravel_index(np.argmin(holds), holds.shape))
        tile = (*self.outer, self.planes.start + plane, self.tile_rows.start + row, column)
        tile = tile if self.is_batch else tile[1:]
        raise ValueError(f"the certificate does not hold on tile {tile}: {reason}")

    def _matrices(self, array: NDArray[Any]) -> NDArray[Any]:
        return array[self.outer] if self.is_batch else array[np.newaxis]


def parts_of(shape: tuple[int, ...], m: int) -> Iterator[Part]:
    """Cut a batch of matrices into parts."""
    *batch, rows, columns = shape
    if math.prod(shape) == 0:
        return
    planes = batch[-1] if batch else 1
    at_once = max(1, _ENTRIES // (m * columns))
    for outer in np.ndindex(*batch[:-1]):
        for start, stop in ((0, rows // m), (rows // m, -(-rows // m))):
            if start == stop:
                continue
            planes_at_once = max(1, at_once // (stop - start))
            for plane in range(0, planes, planes_at_once):
                for row in range(start, stop, at_once):
                    end = min(row + at_once, stop)
                    yield Part(
                        outer,
                        slice(plane, min(plane + planes_at_once, planes)),
                        slice(row, end),
                        slice(row * m, min(end * m, rows)),
                        bool(batch),
                    )
