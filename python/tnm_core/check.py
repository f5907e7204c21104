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
    row_counts = np.empty((*batch, rows, -(-columns // m)), dtype=np.uint8)
    column_counts = np.empty((*batch, -(-rows // m), columns), dtype=np.uint8)
    threads = arguments.as_threads(None, flags.size)
    _core.count_kept(moved, m, row_counts, column_counts, threads)

    found = _first_violation(row_counts, column_counts, pattern, bool(exact))
    if found is not None and not pattern.transposable:
        found = _with_axis(found, axis)
    kept = int(row_counts.sum(dtype=np.int64))
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


def _first_violation(
    row_counts: NDArray[np.uint8], column_counts: NDArray[np.uint8], pattern: Pattern, exact: bool
) -> Violation | None:
    """Find the first bad group: tiles in C order, in a tile rows before columns."""
    (n, m), rows, columns = pattern.pair, row_counts.shape[-2], column_counts.shape[-1]
    exact_rows = exact & _whole_groups(rows, columns, pattern)
    bad_rows = (row_counts > n) | (exact_rows & (row_counts != n))
    bad_tiles = _tiles_with(bad_rows, axis=-2, m=m)
    exact_columns = exact & _whole_groups(columns, rows, pattern).T
    bad_columns = (column_counts > n) | (exact_columns & (column_counts != n))
    if pattern.transposable:
        bad_tiles = bad_tiles | _tiles_with(bad_columns, axis=-1, m=m)
    if not bad_tiles.any():
        return None

    first = np.unravel_index(int(np.argmax(bad_tiles)), bad_tiles.shape)
    *batch, tile_row, tile_column = map(int, first)
    plane = tuple(batch)
    top, left = tile_row * m, tile_column * m
    in_rows = bad_rows[plane][top : top + m, tile_column]
    if in_rows.any():
        row = top + int(np.argmax(in_rows))
        count = int(row_counts[plane][row, tile_column])
        expected = f"{'exactly' if exact_rows[row, tile_column] else 'at most'} {n}"
        return Violation("row", (*plane, row, left), min(m, columns - left), count, expected)
    column = left + int(np.argmax(bad_columns[plane][tile_row, left : left + m]))
    count = int(column_counts[plane][tile_row, column])
    expected = f"{'exactly' if exact_columns[tile_row, column] else 'at most'} {n}"
    return Violation("column", (*plane, top, column), min(m, rows - top), count, expected)


def _whole_groups(rows: int, columns: int, pattern: Pattern) -> NDArray[np.bool_]:
    """Tell which row groups are whole ones of full tiles; shape (rows, tile columns)."""
    m = pattern.m
    whole = (np.arange(-(-columns // m)) + 1) * m <= columns
    in_whole_tile_row = (np.arange(rows) // m + 1) * m <= rows
    return np.asarray(whole & (in_whole_tile_row | (not pattern.transposable))[:, None])


def _tiles_with(bad: NDArray[np.bool_], *, axis: int, m: int) -> NDArray[np.bool_]:
    """Tell whether any of each m neighbours along `axis` is bad."""
    if bad.size == 0:
        shape = list(bad.shape)
        shape[axis] = -(-shape[axis] // m)
        return np.zeros(shape, dtype=np.bool_)
    starts = np.arange(0, bad.shape[axis], m)
    return np.asarray(np.logical_or.reduceat(bad, starts, axis=axis))


def _with_axis(found: Violation, axis: int) -> Violation:
    """Translate a violation found with `axis` moved to the end back to the mask's own axes."""
    index = list(found.index)
    index.insert(axis, index.pop())
    name = {len(index) - 1: "row", len(index) - 2: "column"}.get(axis, f"axis {axis}")
    return Violation(name, tuple(index), found.size, found.count, found.expected)
