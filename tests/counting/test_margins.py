"""Counting matrices by their margins, by dynamic programming, against a naive recursion."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest

from tnm_core import _core

ALLOWED = 2**30


def _counted_naively(row_sums: tuple[int, ...], column_sums: tuple[int, ...]) -> int:
    """Fill the matrix row by row."""

    @cache
    def fillings(row: int, needs: tuple[int, ...]) -> int:
        if row == len(row_sums):
            return int(not any(needs))
        open_columns = [j for j, need in enumerate(needs) if need > 0]
        return sum(
            fillings(row + 1, tuple(need - (j in chosen) for j, need in enumerate(needs)))
            for chosen in map(set, combinations(open_columns, row_sums[row]))
        )

    return fillings(0, column_sums)


def _counted(row_sums: tuple[int, ...], column_sums: tuple[int, ...]) -> int:
    return _core.count_margins_dp(row_sums, column_sums, ALLOWED)


@pytest.mark.parametrize("seed", range(5))
def test_random_margins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(20):
        shape = tuple(rng.integers(1, 7, 2))
        matrix = rng.random(shape) < rng.random()
        rows, columns = (tuple(matrix.sum(axis).tolist()) for axis in (1, 0))
        expected = _counted_naively(rows, columns)
        assert expected > 0
        assert _counted(rows, columns) == expected


@pytest.mark.parametrize(
    ("n", "m", "expected"),
    [
        (2, 4, 90),
        (3, 6, 297200),
        (4, 8, 116963796250),
        (5, 10, 6736218287430460752),
        (6, 12, 64051375889927380035549804336),
        (8, 16, 34812290428176298285394893936773707951192224124239796250),
    ],
)
def test_known_values(n: int, m: int, expected: int) -> None:
    assert _counted((n,) * m, (n,) * m) == expected


def test_permutations() -> None:
    for m in range(1, 129, 9):
        assert _counted((1,) * m, (1,) * m) == math.factorial(m)


def test_sum_over_column_margins() -> None:
    """Every matrix with given row sums has some column sums."""
    rows, columns = (3, 1, 4, 2), 6
    total = sum(
        _counted(rows, sums)
        for sums in product(range(len(rows) + 1), repeat=columns)
        if sum(sums) == sum(rows)
    )
    assert total == math.prod(math.comb(columns, ones) for ones in rows)


def test_at_most() -> None:
    assert _core.count_at_most_dp(8, 8, 4, ALLOWED) == 94473463102448047
    for rows, columns in [(1, 5), (3, 3), (4, 2), (5, 7)]:
        # At most 1 anywhere: matchings of a complete bipartite graph.
        matchings = sum(
            math.comb(rows, k) * math.comb(columns, k) * math.factorial(k)
            for k in range(min(rows, columns) + 1)
        )
        assert _core.count_at_most_dp(rows, columns, 1, ALLOWED) == matchings
        everything = max(rows, columns)
        assert _core.count_at_most_dp(rows, columns, everything, ALLOWED) == 2 ** (rows * columns)


def test_memory_cap() -> None:
    with pytest.raises(ValueError, match=r"memory_cap is 1000 bytes, expected at least \d+ MB"):
        _core.count_margins_dp([8] * 16, [8] * 16, 1000)
    with pytest.raises(ValueError, match="memory_cap"):
        _core.count_margins_dp([64] * 128, [64] * 128, ALLOWED)
    with pytest.raises(ValueError, match="memory_cap"):
        _core.count_at_most_dp(16, 16, 8, 1000)
