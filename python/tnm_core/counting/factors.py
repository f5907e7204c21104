"""The diversity of a tensor as a product of powers."""

from __future__ import annotations

from math import comb, prod
from typing import NamedTuple

from tnm_core import _core
from tnm_core.counting import formulas
from tnm_core.counting.arguments import Constraint, Resources, check_cost
from tnm_core.counting.errors import CountTooCostlyError
from tnm_core.counting.regular import count_regular
from tnm_core.counting.tiles import groups, tiles
from tnm_core.pattern import Pattern

MEMORY_CAP = 1 << 30
# Longer than this, a number is of no use as digits, and takes long to multiply out.
LARGEST_BITS = 1 << 26
_SECONDS_PER_FILLING = 6e-9  # of the dynamic program, to an order of magnitude


class Factor(NamedTuple):
    """A number of ways, and how often it is a factor."""

    ways: int
    times: int


def count_factors(
    pattern: Pattern, constraint: Constraint, shape: tuple[int, ...], resources: Resources
) -> list[Factor]:
    """Find the numbers whose product is the number of masks of this shape."""
    n, m = pattern.pair
    if constraint == "unstructured":
        entries = prod(shape)
        kept = entries * n // m
        _check_length(entries if 0 < kept < entries else 0)
        return [Factor(comb(entries, kept), 1)]
    if constraint == "rowwise":
        return [
            Factor(formulas.rowwise_group(n, width, m), times)
            for width, times in groups(shape, m).items()
        ]
    found: list[Factor] = []
    for (height, width), times in tiles(shape, m).items():
        if constraint == "transposable" and height == width == m:
            ways = count_regular(m, m, n, n, resources)
        else:
            ways = count_at_most(n, height, width, resources)
        found.append(Factor(ways, times))
    return found


def multiply_out(factors: list[Factor]) -> int:
    """Multiply the factors, unless that is too long a number."""
    _check_length(sum(ways.bit_length() * times for ways, times in factors if ways > 1))
    return prod(ways**times for ways, times in factors)


def count_at_most(n: int, height: int, width: int, resources: Resources) -> int:
    """Count matrices that keep at most n in each row and column, or say that it takes too long."""
    if n >= max(height, width):
        return 1 << height * width
    least = min(_row_fillings(n, height, width), _row_fillings(n, width, height))
    what = f"{height} x {width} matrices with at most {n} in each row and column"
    check_cost(what, _SECONDS_PER_FILLING * least, resources.max_seconds)
    return _core.count_at_most_dp(height, width, n, MEMORY_CAP, resources.threads)


def _row_fillings(n: int, rows: int, columns: int) -> float:
    """Bound the ways to fill a row, over all histograms of what columns have left, for all rows."""
    needs = min(n, rows)
    return float(rows * comb(columns + 2 * needs, 2 * needs))


def _check_length(bits: int) -> None:
    if bits > LARGEST_BITS:
        raise CountTooCostlyError(
            f"the count has about {bits * 0.30103:.3g} digits, expected at most "
            f"{LARGEST_BITS * 0.30103:.3g}; use tnm_core.counting.log10_mask_diversity",
            float("inf"),
        )
