"""Naive counts of 0/1 matrices, to hold the library's against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import product
from math import comb

Sums = tuple[int, ...]
Accept = Callable[[Sums, Sums], bool]


def count_by_histograms(row_sums: tuple[int, ...], column_sums: tuple[int, ...]) -> int:
    """Fill row by row; a state is how many columns still need how much."""

    @cache
    def fillings(row: int, histogram: tuple[int, ...]) -> int:
        if row == len(row_sums):
            return int(not any(histogram[1:]))
        return sum(
            ways * fillings(row + 1, rest) for rest, ways in _takings(histogram, row_sums[row])
        )

    largest = max((*column_sums, 0))
    needs = Counter(column_sums)
    return fillings(0, tuple(needs[value] for value in range(largest + 1)))


def count_at_most(rows: int, columns: int, n: int) -> int:
    """Matrices with at most n in each row and in each column."""

    @cache
    def fillings(row: int, histogram: tuple[int, ...]) -> int:
        if row == rows:
            return 1
        return sum(
            ways * fillings(row + 1, rest)
            for taken in range(n + 1)
            for rest, ways in _takings(histogram, taken)
        )

    return fillings(0, (0,) * n + (columns,))


def _takings(histogram: tuple[int, ...], total: int) -> list[tuple[tuple[int, ...], int]]:
    """What remains after `total` columns that need something received a one, and the ways."""
    partial = [((), 0, 1)]
    for need in range(1, len(histogram)):
        partial = [
            ((*taken, k), so_far + k, ways * comb(histogram[need], k))
            for taken, so_far, ways in partial
            for k in range(min(histogram[need], total - so_far) + 1)
        ]
    found = []
    for taken, so_far, ways in partial:
        if so_far != total:
            continue
        rest = list(histogram)
        for need, k in enumerate(taken, start=1):
            rest[need] -= k
            rest[need - 1] += k
        found.append((tuple(rest), ways))
    return found


def count_by_trying(height: int, width: int, accept: Accept) -> int:
    """Go through all 0/1 matrices; `accept(row_sums, column_sums)` says which count."""
    return sum(
        number for margins, number in _margins_of_all(height, width).items() if accept(*margins)
    )


@cache
def _margins_of_all(height: int, width: int) -> Counter[tuple[Sums, Sums]]:
    found: Counter[tuple[Sums, Sums]] = Counter()
    for bits in product((0, 1), repeat=height * width):
        rows = tuple(sum(bits[i * width : (i + 1) * width]) for i in range(height))
        found[rows, tuple(sum(bits[j::width]) for j in range(width))] += 1
    return found


def count_with_roots(rows: int, columns: int, row_sum: int, column_sum: int, roots: int) -> int:
    """Interpolate at roots of unity modulo one large prime, point by point.

    Any number of roots above the column sum gives the same count.
    """
    prime = next(p for p in range(2**61 // roots * roots + 1, 2**63, roots) if _is_prime(p))
    root = _element_of_order(roots, prime)
    total = 0
    for exponents in product(range(roots), repeat=columns):
        symmetric = [1] + [0] * row_sum
        for exponent in exponents:
            value = pow(root, exponent, prime)
            for k in range(row_sum, 0, -1):
                symmetric[k] = (symmetric[k] + symmetric[k - 1] * value) % prime
        shift = pow(root, -column_sum * sum(exponents) % roots, prime)
        total += shift * pow(symmetric[row_sum], rows, prime)
    return total * pow(roots, -columns, prime) % prime


def _is_prime(candidate: int) -> bool:
    return candidate > 2 and all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5, 7))


def _element_of_order(order: int, prime: int) -> int:
    for base in range(2, 100):
        root = pow(base, (prime - 1) // order, prime)
        if all(pow(root, d, prime) != 1 for d in range(1, order)):
            return root
    raise AssertionError("no element of this order was found")
