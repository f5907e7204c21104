"""Counts and estimates in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import comb, factorial

from tnm_core.pattern import PatternLike, as_transposable


def closed_form(n: PatternLike | int, m: int | None = None) -> int:
    """Evaluate the closed form that is reported for transposable masks of one tile.

    It is M! (M-1)! ... (M-N+1)!, as reported in the literature for the mask diversity of
    Hubara et al., "Accelerated Sparse Neural Training" (NeurIPS 2021). It is not the number of
    masks, nor a bound: at 2:4 it is 144, where there are 90 masks; at 2:16 it is less than the
    number of masks. For the number itself see `mask_diversity`.

    Parameters
    ----------
    n, m : int
        The pattern, n of m kept; 1 <= n <= m <= 128. In place of both n may be a pattern, such as
        ``"2:4"``.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        For a pattern that is none, or row-wise.

    Examples
    --------
    >>> from tnm_core.counting import closed_form
    >>> closed_form(2, 4)
    144
    """
    n, m = as_transposable(n, m).pair
    product = 1
    for k in range(n):
        product *= factorial(m - k)
    return product


@dataclass(frozen=True)
class Estimate:
    """An approximate number of masks.

    Attributes
    ----------
    log10 : float
        Decimal logarithm of the number.
    error : float
        How far off ``log10`` may be; an observed bound, not a proven one.
    """

    log10: float
    error: float


def estimate(n: PatternLike | int, m: int | None = None) -> Estimate:
    """Estimate the number of transposable masks of one tile, at once and for every pattern.

    The leading term C(m, n)^(2m) / C(m^2, mn) e^(-1/2) is the asymptotic formula of
    Canfield and McKay, "Asymptotic enumeration of dense 0-1 matrices with equal row sums and equal
    column sums" (2005). The corrections of relative size 1/(2m) and 1/m^2 have coefficients that
    were fitted to exact counts. With them the estimate is off by 1e-4 at 4:8 and by 1e-5
    at 12:24, relatively.

    Parameters
    ----------
    n, m : int
        The pattern, n of m kept; 1 <= n <= m <= 128. In place of both n may be a pattern, such as
        ``"2:4"``.

    Returns
    -------
    Estimate
        ``log10`` and ``error``, both floats.

    Raises
    ------
    TypeError, ValueError
        For a pattern that is none, or row-wise.

    Examples
    --------
    >>> from tnm_core.counting import estimate
    >>> print(f"{estimate(32, 64).log10:.3f}")
    1106.345
    """
    n, m = as_transposable(n, m).pair
    if n == m:
        return Estimate(0.0, 0.0)
    spread = m * m / (n * (m - n))
    leading = 2 * m * math.log(comb(m, n)) - math.log(comb(m * m, m * n)) - 0.5
    correction = 1 / (2 * m) - (spread / 6 - 7 / 12) / m**2
    rounding = 4e-16 * m * m
    return Estimate(
        (leading + correction) / math.log(10),
        (0.4 * spread / m**3 + rounding) / math.log(10),
    )


def log10_of(count: int) -> float:
    """Compute the decimal logarithm of a positive integer of any size."""
    return math.log(count) / math.log(10)


def rowwise_group(n: int, width: int, m: int) -> int:
    """Count the masks of a group along a row: exactly n if it is full, at most n if shorter."""
    if width == m:
        return comb(m, n)
    return sum(comb(width, k) for k in range(min(n, width) + 1))
