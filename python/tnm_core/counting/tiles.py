"""Which tiles, or groups, a tensor is made of, and how often each occurs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod


def tiles(shape: tuple[int, ...], m: int) -> dict[tuple[int, int], int]:
    """Count the m x m tiles of the last two axes by size, edges included."""
    batch = prod(shape[:-2])
    found: Counter[tuple[int, int]] = Counter()
    for height, high in _cuts(shape[-2], m):
        for width, wide in _cuts(shape[-1], m):
            found[height, width] += batch * high * wide
    return {size: number for size, number in found.items() if number > 0}


def groups(shape: tuple[int, ...], m: int) -> dict[int, int]:
    """Count the groups of m along the last axis by length, the last shorter one included."""
    lines = prod(shape[:-1])
    return {width: lines * wide for width, wide in _cuts(shape[-1], m) if lines * wide > 0}


def _cuts(size: int, m: int) -> Iterator[tuple[int, int]]:
    if size >= m:
        yield m, size // m
    if size % m:
        yield size % m, 1
