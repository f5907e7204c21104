"""Cutting a batch of matrices in pieces of whole rows of tiles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

Index = tuple[int | slice, ...]


def pieces(shape: tuple[int, ...], m: int, entries: int) -> Iterator[Index]:
    """Index rows of tiles, of one matrix each: at most `entries`, or one row of tiles."""
    *batch, rows, columns = shape
    if 0 in shape:
        return
    height = max(m, entries // columns // m * m)
    for matrix in product(*map(range, batch)):
        for top in range(0, rows, height):
            yield (*matrix, slice(top, min(top + height, rows)))
