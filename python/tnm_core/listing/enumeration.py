"""Listing all masks of a small tile, in canonical order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments
from tnm_core.listing.ranking import unrank_mask
from tnm_core.listing.tables import DEFAULT_MEMORY_CAP, mask_table
from tnm_core.pattern import PatternLike, as_transposable

LARGEST_M = 8
_MASKS_PER_CHUNK = 65536
_DECODED_AT_ONCE = 1024


@overload
def enumerate_masks(
    n: PatternLike | int,
    m: int | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    as_array: Literal[False] = False,
    chunk: int = _MASKS_PER_CHUNK,
) -> Iterator[NDArray[np.bool_]]: ...


@overload
def enumerate_masks(
    n: PatternLike | int,
    m: int | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    as_array: Literal[True],
    chunk: int = _MASKS_PER_CHUNK,
) -> Iterator[NDArray[np.uint64]]: ...


def enumerate_masks(
    n: PatternLike | int,
    m: int | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    as_array: bool = False,
    chunk: int = _MASKS_PER_CHUNK,
) -> Iterator[NDArray[np.bool_]] | Iterator[NDArray[np.uint64]]:
    """Go through all transposable n:m masks of one tile, in canonical order.

    Canonical order is the lexicographic order of the entries in row-major order, dropped before
    kept: mask number i is ``unrank_mask(i, n, m)``. Nothing is computed before it is asked for, and
    memory does not grow.

    Parameters
    ----------
    n, m : int
        The pattern, ``1 <= n <= m <= 8``. In place of both n may be a pattern: ``"2:4"``.
    start, stop : int, optional
        The numbers of the first mask and of the one before which to stop, by default all masks.
        Starting anywhere takes no longer than starting at 0.
    as_array : bool
        What to yield: masks one by one, or arrays of their codes, which is 20 to 70 times as
        fast.
    chunk : int
        How many codes an array holds, the last one apart; ignored unless `as_array`.

    Yields
    ------
    ndarray of bool, shape (m, m)
        The masks; with ``as_array=True`` instead ndarray of uint64, shape (k,), ``k <= chunk``:
        the codes of the next k masks, strictly ascending. A code is the number whose m * m binary
        digits are the entries in row-major order, the first entry the most significant: with m = 8,
        row 0 is the most significant byte, and column 0 the most significant bit of each byte.
        `decode_masks` turns codes into masks. Each array is new and belongs to the caller.

    Raises
    ------
    TypeError, ValueError
        If n, m, `start`, `stop` or `chunk` is out of range; at the call, not at the first mask.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> len(list(tnm.enumerate_masks("2:4")))
    90
    >>> [f"{code:09b}" for code in next(tnm.enumerate_masks(1, 3, as_array=True))]
    ['001010100', '001100010', '010001100', '010100001', '100001010', '100010001']
    >>> sum(len(codes) for codes in tnm.enumerate_masks(4, 8, start=10**10, stop=10**10 + 5,
    ...                                                 as_array=True))
    5
    """
    n, m = as_transposable(n, m).pair
    if m > LARGEST_M:
        raise ValueError(
            f"m is {m}, expected m <= {LARGEST_M} to go through all masks; "
            "draw some with sample_masks, or number them with unrank_mask"
        )
    total = mask_table(n, m, DEFAULT_MEMORY_CAP).total
    first = arguments.as_integer("start", start, 0, total)
    end = total if stop is None else arguments.as_integer("stop", stop, first, total)
    length = arguments.as_integer("chunk", chunk, 1)
    if not isinstance(as_array, (bool, np.bool_)):
        raise TypeError(f"as_array is {as_array!r}, expected True or False")
    if as_array:
        return _codes(n, m, first, end, length)
    return _masks(n, m, first, end)


def _codes(n: int, m: int, start: int, stop: int, length: int) -> Iterator[NDArray[np.uint64]]:
    if start == stop:
        return
    enumerator = _core.MaskEnumerator(n, m)
    if start > 0:
        enumerator.seek(int(encode_masks(unrank_mask(start, n, m))))
    while start < stop:
        codes = np.empty(min(length, stop - start), dtype=np.uint64)
        start += enumerator.next(codes)
        yield codes


def _masks(n: int, m: int, start: int, stop: int) -> Iterator[NDArray[np.bool_]]:
    for codes in _codes(n, m, start, stop, _DECODED_AT_ONCE):
        for mask in decode_masks(codes, m):
            # Of its own memory, so that a mask that is kept does not keep them all.
            yield mask.copy()


def decode_masks(codes: ArrayLike, m: int) -> NDArray[np.bool_]:
    """Turn codes of `enumerate_masks` into masks.

    Parameters
    ----------
    codes : array_like of unsigned integers, shape (...)
        Numbers whose m * m binary digits are the entries of an m x m matrix in row-major order, the
        first entry the most significant.
    m : int
        The side of a matrix, ``1 <= m <= 8``.

    Returns
    -------
    masks : ndarray of bool, shape (..., m, m)
        The matrices; whether they obey a pattern is not looked at.

    Raises
    ------
    TypeError, ValueError
        If `codes` are not integers, are negative or have more than m * m digits, or m is out of
        range.

    Examples
    --------
    >>> import tnm_core as tnm
    >>> tnm.decode_masks([0b1001, 0b0110], 2).astype(int)
    array([[[1, 0],
            [0, 1]],
    <BLANKLINE>
           [[0, 1],
            [1, 0]]])
    """
    side = arguments.as_integer("m", m, 1, LARGEST_M)
    numbers = arguments.as_array(codes, "codes")
    if numbers.dtype.kind not in "iu" and numbers.size:
        raise TypeError(f"codes have dtype {numbers.dtype}, expected uint64")
    largest = 2 ** (side * side) - 1
    if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) > largest):
        wrong = int(numbers.min()) if int(numbers.min()) < 0 else int(numbers.max())
        raise ValueError(
            f"codes hold {wrong}, expected 0 <= code <= {largest}, {side * side} binary digits"
        )
    octets = numbers.astype(">u8").reshape(*numbers.shape, 1).view(np.uint8)
    digits = np.unpackbits(octets, axis=-1)[..., 64 - side * side :]
    return digits.reshape(*numbers.shape, side, side).astype(np.bool_)


def encode_masks(masks: ArrayLike) -> NDArray[np.uint64]:
    """Turn masks into the codes of `enumerate_masks`.

    Parameters
    ----------
    masks : array_like of bool (or integers 0 and 1), shape (..., m, m)
        Square matrices, ``1 <= m <= 8``.

    Returns
    -------
    codes : ndarray of uint64, shape (...)
        One number per matrix, as `decode_masks` takes them.

    Raises
    ------
    TypeError, ValueError
        If the dtype or the shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> bin(tnm.encode_masks(np.eye(3, dtype=bool)))
    '0b100010001'
    """
    flags = arguments.as_mask(masks)
    side = flags.shape[-1]
    if flags.shape[-2] != side or not 1 <= side <= LARGEST_M:
        raise ValueError(
            f"masks have shape {flags.shape}, expected (..., m, m) with 1 <= m <= {LARGEST_M}"
        )
    leading = flags.shape[:-2]
    digits = np.zeros((*leading, 64), dtype=np.bool_)
    digits[..., 64 - side * side :] = flags.reshape(*leading, side * side)
    octets = np.packbits(digits, axis=-1)
    return octets.view(">u8")[..., 0].astype(np.uint64)
