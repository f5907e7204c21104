"""Numbering many masks at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments
from tnm_core.check import check_mask
from tnm_core.listing.tables import DEFAULT_MEMORY_CAP, mask_table
from tnm_core.pattern import PatternLike, as_transposable


def rank_masks(
    masks: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    memory_cap: int = DEFAULT_MEMORY_CAP,
    threads: int | None = None,
) -> NDArray[np.uint64]:
    """Tell which numbers masks have, as `rank_mask` does for one.

    Parameters
    ----------
    masks : array_like of bool (or integers 0 and 1), shape (..., m, m)
        Masks that keep exactly n in each row and each column.
    n, m : int
        The pattern, with fewer than 2^64 masks: all with m <= 8. In place of both n may be a
        pattern: ``"2:4"``.
    memory_cap : int
        As in `rank_mask`.
    threads : int, optional
        How many threads to use; by default as many as the work is worth.

    Returns
    -------
    indices : ndarray of uint64, shape (...)
        The numbers, from 0 to the number of masks - 1.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, a mask does not obey the pattern, or there are 2^64 masks or
        more.

    Examples
    --------
    >>> import numpy as np
    >>> from tnm_core.listing import rank_masks
    >>> rank_masks(np.stack([np.eye(4, dtype=bool)[::-1], np.eye(4, dtype=bool)]), "1:4")
    array([ 0, 23], dtype=uint64)
    """
    n, m = as_transposable(n, m).pair
    cap = arguments.as_integer("memory_cap", memory_cap, 0)
    flags = arguments.as_mask(masks)
    if flags.shape[-2:] != (m, m):
        raise ValueError(f"masks have shape {flags.shape}, expected (..., {m}, {m}), tiles")
    report = check_mask(flags, n, m)
    if not report:
        raise ValueError(f"masks are no transposable {n}:{m} masks: {report.violation}")
    table = _table_of_one_word(n, m, cap)
    tiles = np.ascontiguousarray(flags).reshape(-1, m, m)
    indices = np.empty((len(tiles), 1), dtype=np.uint64)
    table.rank(tiles, indices, arguments.as_threads(threads, tiles.size))
    return indices.reshape(flags.shape[:-2])


def unrank_masks(
    indices: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    memory_cap: int = DEFAULT_MEMORY_CAP,
    threads: int | None = None,
) -> NDArray[np.bool_]:
    """Return the masks of given numbers, as `unrank_mask` does for one.

    Parameters
    ----------
    indices : array_like of unsigned integers, shape (...)
        Numbers from 0 to the number of masks - 1.
    n, m, memory_cap, threads
        As in `rank_masks`.

    Returns
    -------
    masks : ndarray of bool, shape (..., m, m)
        Each keeps exactly n in each row and column.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or there are 2^64 masks or more.

    Examples
    --------
    >>> import numpy as np
    >>> from tnm_core.listing import rank_masks, unrank_masks
    >>> bool((rank_masks(unrank_masks(np.arange(90), "2:4"), "2:4") == np.arange(90)).all())
    True
    """
    n, m = as_transposable(n, m).pair
    cap = arguments.as_integer("memory_cap", memory_cap, 0)
    numbers = arguments.as_array(indices, "indices")
    if numbers.dtype.kind not in "iu" and numbers.size:
        raise TypeError(f"indices have dtype {numbers.dtype}, expected uint64")
    table = _table_of_one_word(n, m, cap)
    if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) >= table.total):
        wrong = int(numbers.min()) if int(numbers.min()) < 0 else int(numbers.max())
        raise ValueError(
            f"indices hold {wrong}, expected 0 <= index < {table.total}, the number of {n}:{m} "
            "masks"
        )
    words = np.ascontiguousarray(numbers, dtype=np.uint64).reshape(-1, 1)
    masks = np.empty((len(words), m, m), dtype=np.bool_)
    table.unrank(words, masks, arguments.as_threads(threads, masks.size))
    return masks.reshape(*numbers.shape, m, m)


def _table_of_one_word(n: int, m: int, cap: int) -> _core.MaskTable:
    table = mask_table(n, m, cap)
    if table.words != 1:
        raise ValueError(
            f"there are {table.total} masks of {n}:{m}, expected fewer than 2^64 to number many at "
            "once; number one with rank_mask"
        )
    return table
