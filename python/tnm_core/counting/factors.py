"""The diversity of a tensor as a product of powers."""

from __future__ import annotations

from math import comb, prod
from typing import NamedTuple

from tnm_core import _core
from tnm_core.counting import cost, formulas, margins
from tnm_core.counting.arguments import Constraint, check_cost
from tnm_core.counting.errors import CountTooCostlyError
from tnm_core.counting.regular import CheckpointPath, Progress, count_regular
from tnm_core.counting.tiles import groups, tiles
from tnm_core.pattern import Pattern

MEMORY_CAP = 1 << 30
# Longer than this, a number is of no use as digits, and takes long to multiply out.
LARGEST_BITS = 1 << 26
_SECONDS_PER_FILLING = 6e-9  # about, of the dynamic program


class Resources(NamedTuple):
    """The time, threads and files that a call may use."""

    max_seconds: float
    threads: int
    progress: Progress | None = None
    checkpoint: CheckpointPath | None = None


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
        exact = constraint == "transposable" and height == width == m
        count = _count_exactly if exact else _count_at_most
        found.append(Factor(count(n, height, width, resources), times))
    return found


def multiply_out(factors: list[Factor]) -> int:
    """Multiply the factors, unless that is too long a number."""
    _check_length(sum(ways.bit_length() * times for ways, times in factors if ways > 1))
    return prod(ways**times for ways, times in factors)


def _count_exactly(n: int, height: int, width: int, resources: Resources) -> int:
    """Count matrices with n in each row; and in each column what that makes."""
    return count_regular_within(height, width, n, height * n // width, resources)


def count_regular_within(
    rows: int, columns: int, row_sum: int, column_sum: int, resources: Resources
) -> int:
    """Count matrices of regular margins, or say that it takes too long."""
    if 0 < row_sum < columns:
        counter = _core.RegularCounter(rows, columns, row_sum, column_sum)
        seconds = cost.regular_seconds(counter, resources.max_seconds)
        what = (
            f"{rows} x {columns} matrices with {row_sum} in each row, {column_sum} in each column"
        )
        check_cost(what, seconds, resources.max_seconds)
    return count_regular(
        rows,
        columns,
        row_sum,
        column_sum,
        resources.threads,
        resources.progress,
        resources.checkpoint,
    )


def _count_at_most(n: int, height: int, width: int, resources: Resources) -> int:
    if n < max(height, width):
        seconds = _at_most_seconds(n, height, width)
        what = f"{height} x {width} matrices with at most {n} in each row and column"
        check_cost(what, seconds, resources.max_seconds)
    return margins.count_at_most(height, width, n, MEMORY_CAP, resources.threads)


def _at_most_seconds(n: int, height: int, width: int) -> float:
    """Predict the dynamic program, to an order of magnitude."""
    least = min(_row_fillings(n, height, width), _row_fillings(n, width, height))
    return _SECONDS_PER_FILLING * least


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
