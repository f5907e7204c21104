"""The dynamic program over margins, as the compiled core has it."""

from __future__ import annotations

from tnm_core import _core

LARGEST_SIDE = 128


def count_any_margins(
    row_sums: list[int], column_sums: list[int], memory_cap: int, threads: int
) -> int:
    """Count matrices of arbitrary row and column sums."""
    longest = max(len(row_sums), len(column_sums))
    if longest > LARGEST_SIDE:
        raise ValueError(
            f"there are {longest} sums, expected at most {LARGEST_SIDE} on each side, unless all "
            "row sums are alike and all column sums are alike"
        )
    return _core.count_margins_dp(row_sums, column_sums, memory_cap, threads)


def count_at_most(rows: int, columns: int, n: int, memory_cap: int, threads: int) -> int:
    """Count matrices that keep at most n in each row and column."""
    if rows == 0 or columns == 0 or n == 0:
        return 1
    if n >= max(rows, columns):
        return 1 << rows * columns
    return _core.count_at_most_dp(rows, columns, n, memory_cap, threads)
