"""Checking masks, strictly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments
from tnm_core.pattern import Pattern, PatternLike, as_pattern, as_transposable
from tnm_core.short_repr import short_repr

__all__ = ["MaskReport", "Violation", "check_mask", "is_transposable"]


@dataclass(frozen=True)
class Violation:
    """A group of entries that keeps the wrong number.

    Attributes
    ----------
    axis : str
        What the group is part of: ``"row"`` if it runs along the mask's last axis, ``"column"``
        along the axis before it, else ``"axis k"`` with the number k of the axis.
    index : tuple of int
        Index of the group's first entry in the mask.
    size : int
        Entries in the group: m, or fewer at an edge.
    count : int
        How many of them are kept.
    expected : str
        How many should be, such as ``"exactly 2"`` or ``"at most 2"``.
    """

    axis: str
    index: tuple[int, ...]
    size: int
    count: int
    expected: str

    def __str__(self) -> str:
        place = ", ".join(str(i) for i in self.index)
        direction = f"its {self.axis}" if self.axis in ("row", "column") else self.axis
        return (
            f"the group of {self.size} that starts at [{place}] and runs along {direction} "
            f"keeps {self.count}, expected {self.expected}"
        )


@dataclass(frozen=True, eq=False)
class MaskReport:
    """What `check_mask` found; true in a condition if the mask is valid.

    Attributes
    ----------
    valid : bool
        Whether the mask obeys the pattern.
    violation : Violation or None
        The first group that does not: tiles in C order, in a tile rows before columns.
    density : float
        Share of entries that are kept; NaN for an empty mask.
    row_counts : ndarray of uint8, shape (..., rows, ceil(columns / m))
        Kept entries in each group of m along the last axis.
    column_counts : ndarray of uint8, shape (..., ceil(rows / m), columns)
        Kept entries in each group of m along the axis before it.
    n, m : int
        The pattern.
    transposable : bool
        Whether columns were checked as well as rows.
    """

    valid: bool
    violation: Violation | None
    density: float
    row_counts: NDArray[np.uint8]
    column_counts: NDArray[np.uint8]
    n: int
    m: int
    transposable: bool

    __repr__ = short_repr

    def __bool__(self) -> bool:
        return self.valid

    def __str__(self) -> str:
        kind = "transposable" if self.transposable else "row-wise"
        verdict = f"valid {kind}" if self.valid else f"not a {kind}"
        reason = "" if self.violation is None else f"; {self.violation}"
        return f"{verdict} {self.n}:{self.m} mask of density {self.density:.4f}{reason}"


def check_mask(
    mask: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    transposable: bool | None = None,
    exact: bool = True,
    axis: int = -1,
) -> MaskReport:
    """Check that a mask obeys an N:M pattern, and say where it does not.

    Parameters
    ----------
    mask : array_like of bool (or integers 0 and 1), shape (..., rows, columns)
        The mask. To check weights, pass ``weights != 0`` and ``exact=False``.
    n, m : int
        n entries are kept of every m, ``1 <= n <= m <= 128``. In place of both n may be a pattern:
        text such as ``"2:4"`` or, row-wise, ``"row 2:4"``, a pair ``(2, 4)`` or a `Pattern`.
    transposable : bool, optional
        Check the rows and the columns of every tile, or only groups along `axis`; by default as the
        pattern says, and for n and m both.
    exact : bool
        Expect exactly n, or at most n. Groups and tiles that m cuts short at the edge of the shape
        are always held to at most n.
    axis : int
        The axis of the groups; only for row-wise patterns.

    Returns
    -------
    MaskReport
        For row-wise patterns its row counts are along `axis` (which is moved to the end); the
        violation speaks of the mask as it came.

    Raises
    ------
    TypeError
        If the mask is neither bool nor integer, or n, m or axis is not an integer.
    ValueError
        If an integer mask holds anything but 0 and 1, the mask has fewer than two axes, or n, m or
        axis does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> print(tnm.check_mask(np.tile(np.eye(4, dtype=bool), (2, 2)), 1, 4))
    valid transposable 1:4 mask of density 0.2500
    >>> mask = np.array([[1, 1, 0, 0]] * 4)
    >>> print(tnm.check_mask(mask, 2, 4).violation)
    the group of 4 that starts at [0, 0] and runs along its column keeps 4, expected exactly 2
    >>> print(tnm.check_mask(mask, "row 2:4"))
    valid row-wise 2:4 mask of density 0.5000
    """
    pattern = as_pattern(n, m, transposable=transposable)
    m = pattern.m
    flags = arguments.as_mask(mask)
    axis = arguments.as_axis(axis, flags.ndim)
    if pattern.transposable and axis != flags.ndim - 1:
        raise ValueError(
            f"axis={axis} came with transposable=True, expected it with transposable=False: "
            "a transposable mask is checked along both of the last two axes"
        )
    moved = np.moveaxis(flags, axis, -1)
    *batch, rows, columns = moved.shape
    # In the order of the mask, in which they are counted.
    order = "F" if abs(moved.strides[-2]) < abs(moved.strides[-1]) else "C"
    row_counts = _new_counts(batch, rows, -(-columns // m), order)
    column_counts = _new_counts(batch, -(-rows // m), columns, order)
    kept, bad_tile = _core.count_kept(
        moved,
        *pattern.pair,
        pattern.transposable,
        bool(exact),
        row_counts,
        column_counts,
        arguments.as_threads(None, flags.size),
    )
    found = None
    if bad_tile is not None:
        found = _violation_in(bad_tile, row_counts, column_counts, pattern, bool(exact))
        if not pattern.transposable:
            found = _with_axis(found, axis)
    density = kept / flags.size if flags.size else float("nan")
    return MaskReport(
        valid=found is None,
        violation=found,
        density=density,
        row_counts=row_counts,
        column_counts=column_counts,
        n=pattern.n,
        m=m,
        transposable=pattern.transposable,
    )


def is_transposable(mask: ArrayLike, n: PatternLike | int, m: int | None = None) -> bool:
    """Tell whether a mask is a transposable N:M mask; see `check_mask`.

    Parameters
    ----------
    mask : array_like of bool (or integers 0 and 1), shape (..., rows, columns)
        The mask.
    n, m : int
        n entries are kept of every m, ``1 <= n <= m <= 128``, or n alone a pattern: ``"2:4"``.

    Returns
    -------
    bool
        Whether every full tile keeps exactly n in each row and column, and every edge tile at most
        n.

    Raises
    ------
    TypeError, ValueError
        As `check_mask`.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> tnm.is_transposable(np.eye(4, dtype=bool), 1, 4)
    True
    """
    return check_mask(mask, as_transposable(n, m)).valid


def _new_counts(batch: list[int], rows: int, columns: int, order: str) -> NDArray[np.uint8]:
    """Make room for counts, in each matrix of the batch in C or Fortran order."""
    if order == "C":
        return np.empty((*batch, rows, columns), dtype=np.uint8)
    turned: NDArray[np.uint8] = np.empty((*batch, columns, rows), dtype=np.uint8)
    return np.swapaxes(turned, -1, -2)


def _violation_in(
    bad_tile: int,
    row_counts: NDArray[np.uint8],
    column_counts: NDArray[np.uint8],
    pattern: Pattern,
    exact: bool,
) -> Violation:
    """Find the first bad group of a tile, rows before columns."""
    (n, m), rows, columns = pattern.pair, row_counts.shape[-2], column_counts.shape[-1]
    tiles = (*row_counts.shape[:-2], column_counts.shape[-2], row_counts.shape[-1])
    *plane, tile_row, tile_column = (int(i) for i in np.unravel_index(bad_tile, tiles))
    top, left = tile_row * m, tile_column * m
    height, width = min(m, rows - top), min(m, columns - left)
    is_whole = width == m and (height == m or not pattern.transposable)
    least, expected = (n, f"exactly {n}") if exact and is_whole else (0, f"at most {n}")
    in_rows = row_counts[tuple(plane)][top : top + height, tile_column]
    bad_rows = np.flatnonzero((in_rows < least) | (in_rows > n))
    if bad_rows.size:
        first = int(bad_rows[0])
        return Violation("row", (*plane, top + first, left), width, int(in_rows[first]), expected)
    in_columns = column_counts[tuple(plane)][tile_row, left : left + width]
    first = int(np.flatnonzero((in_columns < least) | (in_columns > n))[0])
    index = (*plane, top, left + first)
    return Violation("column", index, height, int(in_columns[first]), expected)


def _with_axis(found: Violation, axis: int) -> Violation:
    """Translate a violation found with `axis` moved to the end back to the mask's own axes."""
    index = list(found.index)
    index.insert(axis, index.pop())
    name = {len(index) - 1: "row", len(index) - 2: "column"}.get(axis, f"axis {axis}")
    return Violation(name, tuple(index), found.size, found.count, found.expected)
