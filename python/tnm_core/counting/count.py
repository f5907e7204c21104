"""How many masks a constraint allows, exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tnm_core import _core
from tnm_core.arguments import as_integer
from tnm_core.counting import arguments, formulas
from tnm_core.counting.arguments import CheckpointPath, Constraint, Progress, Resources
from tnm_core.counting.factors import MEMORY_CAP, Factor, count_factors, multiply_out
from tnm_core.counting.regular import count_regular
from tnm_core.pattern import Pattern, PatternLike, as_pattern

_LARGEST_IRREGULAR_SIDE = 128


def mask_diversity(
    n: PatternLike | int,
    m: int | None = None,
    constraint: Constraint | None = None,
    shape: Sequence[int] | None = None,
    *,
    max_seconds: float = 60,
    threads: int | None = None,
    progress: Progress | None = None,
    checkpoint: CheckpointPath | None = None,
) -> int:
    """Count the masks that a constraint allows on a tensor, exactly.

    Parameters
    ----------
    n, m : int
        The pattern, n of m kept; 1 <= n <= m <= 128. In place of both n may be a pattern: text such
        as ``"2:4"`` or, row-wise, ``"row 2:4"``, a pair ``(2, 4)`` or a `Pattern`.
    constraint : {"transposable", "transposable_at_most", "rowwise", "unstructured"}, optional
        Which masks are counted; by default row-wise ones for a row-wise pattern, else transposable
        ones.

        - ``"transposable"``: every full m x m tile keeps exactly n in each row and each column.
          Tiles at the edge keep at most n in each.
        - ``"transposable_at_most"``: every tile keeps at most n in each row and each column.
        - ``"rowwise"``: every full group of m along the last axis keeps exactly n; the shorter
          group at the end keeps at most n.
        - ``"unstructured"``: as many entries as n / m of all, rounded down, anywhere.
    shape : sequence of int, optional
        Of the tensor, at least two axes; the last two are the matrix, the others a batch. One
        m x m tile if not given.
    max_seconds : float
        The most that the count may be predicted to take, in CPU seconds; ``math.inf`` for no limit.
        The prediction for tiles that keep at most n is good to an order of magnitude only.
    threads : int, optional
        How many; all cores that this process may use if not given. The result is the same.
    progress : callable, optional
        Called now and then with the share that is done, 0 to 1, of a count of full tiles.
    checkpoint : path, optional
        A file that keeps what a count of full tiles has done so far. If it exists, the count is
        resumed from there; it stays when the count is done.

    Returns
    -------
    int
        At least 1. A tensor without entries has one mask.

    Raises
    ------
    TypeError, ValueError
        For arguments out of range; a checkpoint of another count is a `CheckpointMismatchError`.
    CountTooCostlyError
        A ValueError, if the count is predicted to take longer than ``max_seconds``, or if the
        number itself is too long (see `log10_mask_diversity`).
    CountCheckError
        An ArithmeticError, if the spare primes contradict the count: then there is no result.

    Notes
    -----
    Counts of exactly n use sums over multisets of roots of unity modulo primes, counts of at most n
    a dynamic program over histograms; docs/diversity.md explains both. "Mask diversity" is of
    Hubara et al., "Accelerated Sparse Neural Training" (NeurIPS 2021), section 3.

    Examples
    --------
    >>> import tnm_core as tnm
    >>> tnm.mask_diversity(2, 4), tnm.mask_diversity(4, 8)
    (90, 116963796250)
    >>> tnm.mask_diversity("row 2:4", shape=(8, 8)) > tnm.mask_diversity("4:8")
    True
    """
    resources = arguments.as_resources(max_seconds, threads, progress, checkpoint)
    return multiply_out(_factors(as_pattern(n, m), constraint, shape, resources))


def log10_mask_diversity(
    n: PatternLike | int,
    m: int | None = None,
    constraint: Constraint | None = None,
    shape: Sequence[int] | None = None,
    *,
    max_seconds: float = 60,
    threads: int | None = None,
    progress: Progress | None = None,
    checkpoint: CheckpointPath | None = None,
) -> float:
    """Give the decimal logarithm of `mask_diversity`, for tensors of any size.

    Parameters and errors are those of `mask_diversity`; tiles are counted exactly, and the result
    is rounded to a float. ``"unstructured"`` uses the logarithm of the gamma function.

    Returns
    -------
    float

    Examples
    --------
    >>> from tnm_core.counting import log10_mask_diversity
    >>> round(log10_mask_diversity(2, 4, shape=(8192, 8192)))
    8196687
    """
    pattern = as_pattern(n, m)
    if arguments.as_constraint(constraint, pattern) == "unstructured":
        entries = math.prod(arguments.as_shape(shape, pattern.m))
        return _log10_binomial(entries, entries * pattern.n // pattern.m)
    resources = arguments.as_resources(max_seconds, threads, progress, checkpoint)
    factors = _factors(pattern, constraint, shape, resources)
    return sum(times * formulas.log10_of(ways) for ways, times in factors)


def diversity_factors(
    n: PatternLike | int,
    m: int | None = None,
    constraint: Constraint | None = None,
    shape: Sequence[int] | None = None,
    *,
    max_seconds: float = 60,
    threads: int | None = None,
    progress: Progress | None = None,
    checkpoint: CheckpointPath | None = None,
) -> list[Factor]:
    """Count as `mask_diversity` does, and leave the result as a product of powers.

    Parameters and errors are those of `mask_diversity`. `multiply_out` gives the number.

    Returns
    -------
    list of Factor
        Pairs ``(ways, times)``: the ways to mask a tile of some size, and how often it occurs.

    Examples
    --------
    >>> from tnm_core.counting import diversity_factors
    >>> [tuple(factor) for factor in diversity_factors("2:4", shape=(8, 8))]
    [(90, 4)]
    """
    resources = arguments.as_resources(max_seconds, threads, progress, checkpoint)
    return _factors(as_pattern(n, m), constraint, shape, resources)


def count_margins(
    row_sums: Iterable[int],
    column_sums: Iterable[int],
    *,
    max_seconds: float = 60,
    threads: int | None = None,
    progress: Progress | None = None,
    checkpoint: CheckpointPath | None = None,
    memory_cap: int = MEMORY_CAP,
) -> int:
    """Count the 0/1 matrices with these row sums and column sums, exactly.

    Parameters
    ----------
    row_sums, column_sums : sequence of int
        One for each row, and for each column. Row sums are 0 to the number of columns, column sums
        0 to the number of rows, and both have the same total. Sums that no matrix has, although
        they obey this, give 0.
    max_seconds, threads, progress, checkpoint
        As in `mask_diversity`. The first and the last two are for margins that are regular: all row
        sums alike, and all column sums alike.
    memory_cap : int
        Bytes that the tables of other margins may take. Their time is not predicted; Ctrl-C stops
        them.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        For sums out of range, totals that differ, or tables above ``memory_cap``; and as
        `mask_diversity`.

    Examples
    --------
    >>> from tnm_core.counting import count_margins
    >>> count_margins([2, 2, 2], [3, 1, 1, 1])
    6
    """
    rows, columns = list(row_sums), list(column_sums)
    rows = arguments.as_margin("row_sums", rows, len(columns))
    columns = arguments.as_margin("column_sums", columns, len(rows))
    if sum(rows) != sum(columns):
        raise ValueError(
            f"row_sums add up to {sum(rows)} and column_sums to {sum(columns)}, expected the same "
            "total"
        )
    cap = as_integer("memory_cap", memory_cap)
    if cap < 0:
        raise ValueError(f"memory_cap is {cap}, expected a number of bytes of at least 0")
    resources = arguments.as_resources(max_seconds, threads, progress, checkpoint)
    if not rows or not columns:
        return 1
    if len(set(rows)) == len(set(columns)) == 1:
        return count_regular(len(rows), len(columns), rows[0], columns[0], resources)
    longest = max(len(rows), len(columns))
    if longest > _LARGEST_IRREGULAR_SIDE:
        raise ValueError(
            f"there are {longest} sums, expected at most {_LARGEST_IRREGULAR_SIDE} on each side, "
            "unless all row sums are alike and all column sums are alike"
        )
    return _core.count_margins_dp(rows, columns, cap, resources.threads)


def _factors(
    pattern: Pattern, constraint: str | None, shape: Sequence[int] | None, resources: Resources
) -> list[Factor]:
    name = arguments.as_constraint(constraint, pattern)
    return count_factors(pattern, name, arguments.as_shape(shape, pattern.m), resources)


def _log10_binomial(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(10)
