"""Numbering the masks of a tile: from mask to number and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import arguments
from tnm_core.check import check_mask
from tnm_core.listing.tables import DEFAULT_MEMORY_CAP, mask_table, number_of, words_of
from tnm_core.pattern import PatternLike, as_transposable


def rank_mask(
    mask: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    memory_cap: int = DEFAULT_MEMORY_CAP,
) -> int:
    """Tell which number a mask has among all transposable n:m masks of one tile.

    Masks are numbered from 0 in canonical order: the lexicographic order of their entries in
    row-major order, where a dropped entry comes before a kept one.

    Parameters
    ----------
    mask : array_like of bool (or integers 0 and 1), shape (m, m)
        A mask that keeps exactly n in each row and each column.
    n, m : int
        The pattern, ``1 <= n <= m <= 128``. In place of both n may be a pattern: ``"2:4"``.
    memory_cap : int
        The most bytes that the table of this pattern may take. The table is kept for later calls,
        as long as the tables used last take no more than 256 MiB, or it is the last one.

    Returns
    -------
    int
        The number, from 0 to the number of masks - 1.

    Raises
    ------
    TypeError, ValueError
        If n, m, the mask's dtype or its shape do not fit, the mask does not keep exactly n
        everywhere (the message says where), or the table would exceed `memory_cap`.

    Notes
    -----
    The table holds, for everything that the columns may still need after some rows, the exact
    number of ways to fill the rest. Its size depends on the pattern alone: 31 kB at 4:8, 1.3 MB at
    8:16, 18 MB at 4:64.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> tnm.rank_mask(np.eye(4, dtype=bool)[::-1], 1, 4)
    0
    >>> tnm.rank_mask(np.eye(4, dtype=bool), "1:4")
    23
    """
    n, m = as_transposable(n, m).pair
    cap = arguments.as_integer("memory_cap", memory_cap, 0)
    flags = arguments.as_mask(mask)
    if flags.shape != (m, m):
        raise ValueError(f"mask has shape {flags.shape}, expected ({m}, {m}), one tile")
    if (flags.sum(axis=0) != n).any() or (flags.sum(axis=1) != n).any():
        violation = check_mask(flags, n, m).violation
        raise ValueError(f"mask is no transposable {n}:{m} mask: {violation}")
    table = mask_table(n, m, cap)
    indices = np.empty((1, table.words), dtype=np.uint64)
    table.rank(np.ascontiguousarray(flags[np.newaxis]), indices, 1)
    return number_of(indices[0])


def unrank_mask(
    index: int,
    n: PatternLike | int,
    m: int | None = None,
    *,
    memory_cap: int = DEFAULT_MEMORY_CAP,
) -> NDArray[np.bool_]:
    """Return the transposable n:m mask of a given number.

    Parameters
    ----------
    index : int
        The number of the mask in canonical order (see `rank_mask`), from 0 to the number of masks
        - 1. Python integers have no limit; neither has this.
    n, m : int
        The pattern, ``1 <= n <= m <= 128``. In place of both n may be a pattern: ``"2:4"``.
    memory_cap : int
        As in `rank_mask`.

    Returns
    -------
    mask : ndarray of bool, shape (m, m)
        Keeps exactly n in each row and column; ``rank_mask(mask, n, m) == index``.

    Raises
    ------
    TypeError, ValueError
        If n, m or `index` is out of range, or the table would exceed `memory_cap`.

    Examples
    --------
    >>> import tnm_core as tnm
    >>> tnm.unrank_mask(0, 2, 4).astype(int)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1],
           [1, 1, 0, 0],
           [1, 1, 0, 0]])
    >>> tnm.rank_mask(tnm.unrank_mask(10**50, "8:16"), "8:16") == 10**50
    True
    """
    n, m = as_transposable(n, m).pair
    cap = arguments.as_integer("memory_cap", memory_cap, 0)
    number = arguments.as_integer("index", index, 0)
    table = mask_table(n, m, cap)
    if number >= table.total:
        raise ValueError(
            f"index is {number}, expected 0 <= index < {table.total}, the number of {n}:{m} masks"
        )
    mask = np.empty((m, m), dtype=np.bool_)
    table.unrank(words_of(number, table.words), mask[np.newaxis], 1)
    return mask
