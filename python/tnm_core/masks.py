"""Finding masks: transposable N:M and row-wise N:M."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments
from tnm_core.arguments import Method, Score
from tnm_core.certificate import Certificate, empty_certificate
from tnm_core.pattern import PatternLike, as_pattern, as_transposable

__all__ = ["nm_mask", "transposable_mask"]


@overload
def transposable_mask(
    array: ArrayLike,
    n: PatternLike | int,
    m: int | None = ...,
    *,
    method: Method = ...,
    score: Score = ...,
    complete: bool = ...,
    out: NDArray[np.bool_] | None = ...,
    threads: int | None = ...,
    return_certificate: Literal[False] = ...,
) -> NDArray[np.bool_]: ...


@overload
def transposable_mask(
    array: ArrayLike,
    n: PatternLike | int,
    m: int | None = ...,
    *,
    method: Method = ...,
    score: Score = ...,
    complete: bool = ...,
    out: NDArray[np.bool_] | None = ...,
    threads: int | None = ...,
    return_certificate: Literal[True],
) -> tuple[NDArray[np.bool_], Certificate]: ...


def transposable_mask(
    array: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    method: Method = "optimal",
    score: Score = "abs",
    complete: bool = True,
    out: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    return_certificate: bool = False,
) -> NDArray[np.bool_] | tuple[NDArray[np.bool_], Certificate]:
    """Find a transposable N:M mask: n of m kept along rows *and* along columns.

    The matrix is tiled in m x m tiles from its first entry on. Every full tile keeps exactly n
    entries in each of its rows and columns. Where m does not divide the shape, the edge tiles keep
    at most n, and only entries of positive score.

    Parameters
    ----------
    array : array_like, shape (..., rows, columns)
        The weights, or with ``score="identity"`` the scores themselves. The last two axes are the
        matrix, leading axes a batch. Any dtype of bool, integers of 8 to 64 bits, float16,
        bfloat16 (ml_dtypes), float32, float64; any strides. It is read in place (only a foreign
        byte order costs a copy) and never changed.
    n, m : int
        n entries are kept of every m, ``1 <= n <= m <= 128``. In place of both n may be a pattern:
        text such as ``"2:4"``, a pair ``(2, 4)`` or a `Pattern`.
    method : {"optimal", "two_approximation", "greedy"}
        ``"optimal"`` finds the mask of highest total score, by min-cost flow on every tile.
        ``"two_approximation"`` keeps what is among the top n of its row and of its column; it
        prunes at most twice the score that the optimum prunes. ``"greedy"`` keeps from the highest
        score downwards while row and column have room; it keeps at least half of the optimal
        score. Both bounds are for scores that are not negative. The two exist for comparison: the
        optimum is usually faster.
    score : {"abs", "square", "identity"}
        What a kept entry is worth; squares may be larger or smaller than float64 can be.
    complete : bool
        Bring the mask of an approximate method to exactly n, keeping its bound. ``False`` leaves
        it as published, with rows and columns that keep fewer.
    out : ndarray of bool, shape (..., rows, columns), optional
        Where to write the mask; must not overlap `array`. If an error is raised, or the call is
        interrupted, it holds what it held before.
    threads : int, optional
        How many threads to use; by default all cores that the process may use, fewer on small
        arrays; more than 1024 count as 1024. The mask does not depend on it.
    return_certificate : bool
        Also return the proof of optimality; only for ``method="optimal"``.

    Returns
    -------
    mask : ndarray of bool, shape (..., rows, columns)
        True where an entry is kept; `out` if that was given.
    certificate : Certificate
        Only with ``return_certificate=True``.

    Raises
    ------
    TypeError
        If a dtype or the type of an argument is wrong.
    ValueError
        If a score is NaN or infinite (the message names the first one), the array has fewer than
        two axes, the pattern is row-wise, or n, m, `threads`, `method`, `score` or `out` does not
        fit.

    Notes
    -----
    Masks are optimal in exact arithmetic for integers of any size and their squares; for other
    scores up to the rounding of squares and sums in float64, about 2^-50 of a tile's largest score.
    Squares may be beyond the range of float64.

    Several masks may be optimal when scores tie. Which one is returned is deterministic: it depends
    on the scores of the tile, n and m, and not on dtype, strides, threads or platform. The
    approximate methods rank equal scores by their row-major position in the tile, first ones
    higher.

    The problem and the 2-approximation are those of Hubara et al., "Accelerated Sparse Neural
    Training" (NeurIPS 2021), sections 4.1 and 4.2; there N counts the zeros.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> weights = np.array([[9, 1, 8, 2], [1, 9, 2, 8], [7, 3, 1, 6], [3, 7, 6, 1]])
    >>> tnm.transposable_mask(weights, 2, 4).astype(int)
    array([[1, 0, 1, 0],
           [0, 1, 0, 1],
           [1, 0, 0, 1],
           [0, 1, 1, 0]])

    The same, with the pattern as text:

    >>> bool((tnm.transposable_mask(weights, "2:4") == tnm.transposable_mask(weights, 2, 4)).all())
    True
    """
    n, m = as_transposable(n, m).pair
    method = arguments.as_method(method)
    score = arguments.as_score(score)
    source = arguments.as_score_array(array, for_tensors="tnm_core.torch.transposable_mask")
    count = arguments.as_threads(threads, source.data.size)
    if method == "optimal" and not complete:
        raise ValueError(
            "complete=False came with method='optimal', expected it with an approximate method: "
            "an optimal mask always keeps exactly n"
        )
    if return_certificate and method != "optimal":
        raise ValueError(
            f"return_certificate=True came with method={method!r}, expected method='optimal': "
            "an approximate mask has no proof of optimality"
        )
    mask = arguments.as_output(out, source.data)
    if return_certificate:
        certificate = empty_certificate(source.data.shape, n, m, score)
        finite = _core.certified_transposable_mask(
            source.data,
            source.dtype,
            mask,
            out is not None,
            n,
            m,
            score,
            count,
            certificate.row_prices,
            certificate.column_prices,
            certificate.primal,
            certificate.dual,
            certificate.gap,
            certificate.offset,
            certificate.exponent,
        )
    else:
        finite = _core.transposable_mask(
            source.data,
            source.dtype,
            mask,
            out is not None,
            n,
            m,
            method,
            score,
            complete,
            count,
        )
    if not finite:
        arguments.refuse_non_finite(source, count)
    return (mask, certificate) if return_certificate else mask


def nm_mask(
    array: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    axis: int = -1,
    score: Score = "abs",
    out: NDArray[np.bool_] | None = None,
    threads: int | None = None,
) -> NDArray[np.bool_]:
    """Find the row-wise N:M mask: the n highest scores of every m along one axis.

    Parameters
    ----------
    array : array_like, at least one axis
        The weights; dtypes and strides as in `transposable_mask`.
    n, m : int
        n entries are kept of every m, ``1 <= n <= m <= 128``. In place of both n may be a pattern:
        ``"2:4"`` and ``"row 2:4"`` mean the same here.
    axis : int
        The axis along which every aligned group of m entries keeps exactly n. A last group of
        fewer than m entries keeps at most n, and only entries of positive score.
    score : {"abs", "square", "identity"}
        What a kept entry is worth; squares may be larger or smaller than float64 can be.
    out : ndarray of bool, shape of `array`, optional
        Where to write the mask; must not overlap `array`. If an error is raised, or the call is
        interrupted, it holds what it held before.
    threads : int, optional
        As in `transposable_mask`.

    Returns
    -------
    mask : ndarray of bool, shape of `array`
        True where an entry is kept. Of equal scores the lowest index is kept.

    Raises
    ------
    TypeError, ValueError
        As `transposable_mask`.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> tnm.nm_mask(np.array([[3, -4, 1, 2, 5, 5, 5, 5]]), "row 2:4").astype(int)
    array([[1, 1, 0, 0, 1, 1, 0, 0]])
    """
    n, m = as_pattern(n, m).pair
    score = arguments.as_score(score)
    source = arguments.as_score_array(array, least_ndim=1, for_tensors="tnm_core.torch.nm_mask")
    axis = arguments.as_axis(axis, source.data.ndim)
    count = arguments.as_threads(threads, source.data.size)
    mask = arguments.as_output(out, source.data)
    finite = _core.nm_mask(
        np.atleast_2d(np.moveaxis(source.data, axis, -1)),
        source.dtype,
        np.atleast_2d(np.moveaxis(mask, axis, -1)),
        out is not None,
        n,
        m,
        score,
        count,
    )
    if not finite:
        arguments.refuse_non_finite(source, count)
    return mask
