"""Boxes of a tensor: how to cut it, and where the bytes of a box lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

Box = tuple[slice, ...]
"""A slice with start and stop for each axis of a tensor."""


def cut_boxes(
    shape: Sequence[int], units: Sequence[int], most: int, *, fortran: bool = False
) -> Iterator[Box]:
    """Cut a tensor in boxes that lie one after the other in memory.

    Parameters
    ----------
    shape : sequence of int
        Lengths of the axes.
    units : sequence of int
        A box begins at a multiple of this along each axis.
    most : int
        Entries in a box; more only where units leave no choice.
    fortran : bool
        The first axis runs fastest, not the last.

    Yields
    ------
    tuple of slice
        Boxes in the order of memory.

    Examples
    --------
    >>> from tnm_core.checkpoint import cut_boxes
    >>> [(rows.start, rows.stop) for rows, _ in cut_boxes((10, 6), (4, 4), 50)]
    [(0, 8), (8, 10)]
    """
    if fortran:
        yield from (box[::-1] for box in cut_boxes(shape[::-1], units[::-1], most))
        return
    entries = math.prod(shape)
    if entries <= most:
        yield tuple(slice(0, length) for length in shape)
        return
    inner = entries // shape[0]
    unit = units[0]
    if inner * unit > most and unit == 1:
        for index in range(shape[0]):
            for rest in cut_boxes(shape[1:], units[1:], most):
                yield (slice(index, index + 1), *rest)
        return
    step = max(1, most // (inner * unit)) * unit
    whole = tuple(slice(0, length) for length in shape[1:])
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])), *whole)


def box_shape(box: Box) -> tuple[int, ...]:
    """Lengths of the axes of a box."""
    return tuple(one.stop - one.start for one in box)


def runs_of_box(shape: Sequence[int], box: Box) -> Iterator[tuple[int, int]]:
    """Yield where the entries of a box lie in a tensor in C order: pieces, as start and length."""
    lengths = box_shape(box)
    if 0 in lengths:
        return
    split = len(shape)  # axes from here on are whole
    while split > 0 and lengths[split - 1] == shape[split - 1]:
        split -= 1
    outer = max(0, split - 1)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    length = math.prod(lengths[outer:])
    first = box[outer].start * strides[outer] if shape else 0
    for index in product(*(range(one.start, one.stop) for one in box[:outer])):
        yield sum(map(int.__mul__, index, strides)) + first, length
