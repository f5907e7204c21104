"""Cutting a batch of matrices in pieces of whole rows of tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator

__all__ = ["Index", "pieces"]

Index = tuple[int | slice, ...]


def pieces(shape: tuple[int, ...], m: int, entries: int) -> Iterator[Index]:
    """Index rows of tiles, of one matrix each: at most `entries`, or one row of tiles."""
    *batch, rows, columns = shape
    if 0 in shape:
        return
    height = max(m, entries // columns // m * m)
    for number in range(math.prod(batch)):
        matrix: list[int] = []
        for size in reversed(batch):
            number, index = divmod(number, size)
            matrix.insert(0, index)
        for top in range(0, rows, height):
            yield (*matrix, slice(top, min(top + height, rows)))
