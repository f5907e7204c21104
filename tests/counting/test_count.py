"""Counts of masks: known values, independent algorithms, identities."""

from __future__ import annotations

import doctest
import importlib
import math
import os
import subprocess
import sys
from collections import Counter
from itertools import combinations_with_replacement
from math import comb, factorial, prod

import pytest

import tnm_core as tnm
from tests.support.counting import (
    count_at_most,
    count_by_histograms,
    count_by_trying,
    count_with_roots,
)
from tnm_core import _core, counting
from tnm_core.counting import factors as _factors
from tnm_core.counting.arguments import Resources
from tnm_core.counting.regular import count_regular

CAP = 1 << 28

KNOWN = {
    (1, 4): 24,
    (2, 4): 90,
    (3, 4): 24,
    (3, 6): 297200,
    (1, 8): 40320,
    (2, 8): 187530840,
    (3, 8): 24046189440,
    (4, 8): 116963796250,
    (5, 10): 6736218287430460752,
    (6, 12): 64051375889927380035549804336,
    (8, 16): 34812290428176298285394893936773707951192224124239796250,
}


@pytest.mark.parametrize(("pattern", "count"), KNOWN.items(), ids=str)
def test_known_values(pattern: tuple[int, int], count: int) -> None:
    assert tnm.mask_diversity(*pattern) == count
    assert type(tnm.mask_diversity(*pattern)) is int


@pytest.mark.parametrize("size", range(1, 10))
def test_square_tiles_against_the_naive_count(size: int) -> None:
    for n in range(1, size + 1):
        expected = count_by_histograms((n,) * size, (n,) * size)
        assert tnm.mask_diversity(n, size) == expected


def test_rectangles_against_the_naive_count() -> None:
    tested = 0
    for rows in range(1, 13):
        for columns in range(1, 13):
            for row_sum in range(columns + 1):
                if row_sum * rows % columns or rows * columns > 80:
                    continue
                column_sum = row_sum * rows // columns
                expected = count_by_histograms((row_sum,) * rows, (column_sum,) * columns)
                margins = [row_sum] * rows, [column_sum] * columns
                assert counting.count_margins(*margins) == expected
                tested += 1
    assert tested > 200


@pytest.mark.parametrize(
    ("rows", "columns", "row_sum"),
    [(11, 11, 5), (12, 12, 4), (13, 13, 6), (14, 14, 7), (9, 15, 5), (20, 12, 6), (30, 6, 3),
     (6, 30, 15), (16, 16, 5), (40, 40, 2), (24, 24, 3), (3, 60, 20), (100, 4, 2), (4, 100, 50)],
)  # fmt: skip
def test_roots_of_unity_against_the_dynamic_program(rows: int, columns: int, row_sum: int) -> None:
    column_sum = row_sum * rows // columns
    program = _core.count_margins_dp([row_sum] * rows, [column_sum] * columns, CAP)
    assert count_regular(rows, columns, row_sum, column_sum) == program


@pytest.mark.parametrize(
    ("n", "m"),
    [(n, m) for m in (10, 11, 13, 15, 16, 18, 20) for n in range(1, m) if n * min(n, m - n) < 90],
)
def test_kept_and_pruned_may_change_places(n: int, m: int) -> None:
    counted = tnm.mask_diversity(n, m)
    assert counted == tnm.mask_diversity(m - n, m)
    assert counted % (comb(m, n) * comb(m - 1, n - 1)) == 0


@pytest.mark.parametrize(("rows", "columns", "row_sum"), [(6, 9, 3), (10, 15, 6), (8, 20, 5)])
def test_transpose(rows: int, columns: int, row_sum: int) -> None:
    column_sum = rows * row_sum // columns
    assert count_regular(rows, columns, row_sum, column_sum) == count_regular(
        columns, rows, column_sum, row_sum
    )


@pytest.mark.parametrize(
    ("rows", "columns", "row_sum"), [(4, 4, 2), (5, 5, 2), (6, 4, 2), (4, 6, 3), (6, 3, 1)]
)
def test_any_number_of_roots_gives_the_same(rows: int, columns: int, row_sum: int) -> None:
    column_sum = rows * row_sum // columns
    expected = count_regular(rows, columns, row_sum, column_sum)
    for roots in range(column_sum + 1, column_sum + 4):
        assert count_with_roots(rows, columns, row_sum, column_sum, roots) == expected


@pytest.mark.parametrize(("n", "m", "rows"), [(2, 4, 4), (2, 5, 5), (3, 6, 4), (1, 6, 6)])
def test_column_margins_add_up_to_the_row_patterns(n: int, m: int, rows: int) -> None:
    """Over all column sums, each in all orders, there are C(m, n) patterns per row."""
    total = 0
    for columns in combinations_with_replacement(range(rows + 1), m):
        if sum(columns) == n * rows:
            orders = factorial(m) // prod(map(factorial, Counter(columns).values()))
            total += orders * counting.count_margins([n] * rows, columns)
    assert total == comb(m, n) ** rows


def _binary_ones(number: int) -> int:
    return bin(number).count("1")


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 2), (3, 4), (5, 5), (7, 3), (8, 8), (10, 10)])
def test_power_of_two_in_balanced_counts(a: int, b: int) -> None:
    """The count of 2a x 2b matrices with half of each line has 2-adic valuation s(a) s(b)."""
    counted = count_regular(2 * a, 2 * b, b, a)
    valuation = (counted & -counted).bit_length() - 1
    assert valuation == _binary_ones(a) * _binary_ones(b)


@pytest.mark.parametrize("m", [2, 3, 4, 7, 16, 40, 64, 128])
def test_two_of_m_in_closed_form(m: int) -> None:
    """Anand, Dumir, Gupta 1966: matrices with two in each line."""
    expected = sum(
        (-1) ** k * factorial(m) ** 2 * factorial(2 * m - 2 * k)
        * 2**k // (factorial(k) * factorial(m - k) ** 2)
        for k in range(m + 1)
    )  # fmt: skip
    assert tnm.mask_diversity(2, m) << (2 * m) == expected
    assert tnm.mask_diversity(1, m) == factorial(m)
    assert tnm.mask_diversity(m, m) == 1


def test_larger_counts_against_the_dynamic_program() -> None:
    for n, m in ((8, 16), (6, 17), (9, 18), (4, 32), (3, 48), (2, 100)):
        assert tnm.mask_diversity(n, m) == _core.count_margins_dp([n] * m, [n] * m, CAP), (n, m)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 4), (2, 5), (1, 3), (4, 2)])
def test_at_most_against_trying_all(height: int, width: int) -> None:
    for n in range(1, 5):
        tried = count_by_trying(height, width, lambda rows, columns: max(rows + columns) <= n)  # noqa: B023
        assert _factors.count_at_most(n, height, width, Resources()) == tried
        assert count_at_most(height, width, n) == tried


def test_at_most() -> None:
    assert tnm.mask_diversity(4, 8, "transposable_at_most") == 94473463102448047
    for n, m in ((2, 4), (3, 5), (6, 6), (2, 9), (4, 7)):
        assert tnm.mask_diversity(n, m, "transposable_at_most") == count_at_most(m, m, n)


def test_other_constraints() -> None:
    assert tnm.mask_diversity(2, 4, "rowwise") == 6**4
    assert tnm.mask_diversity(2, 4, "unstructured") == comb(16, 8)
    assert tnm.mask_diversity(2, 4, "rowwise", (8, 8)) == 6**16 > tnm.mask_diversity(4, 8)
    assert tnm.mask_diversity(3, 8, "unstructured", (5, 5)) == comb(25, 9)


def test_masks_of_a_tensor_with_edges() -> None:
    """A 2 x 5 x 6 tensor at 2:4: four kinds of tiles, each counted by trying all matrices."""

    def at_most(rows: tuple[int, ...], columns: tuple[int, ...]) -> bool:
        return max(rows + columns) <= 2

    def exactly(rows: tuple[int, ...], columns: tuple[int, ...]) -> bool:
        return {*rows, *columns} == {2}

    edges = (
        count_by_trying(4, 2, at_most) * count_by_trying(1, 4, at_most)
        * count_by_trying(1, 2, at_most)
    )  # fmt: skip
    shape = (2, 5, 6)
    assert tnm.mask_diversity(2, 4, shape=shape) == (count_by_trying(4, 4, exactly) * edges) ** 2
    full = count_by_trying(4, 4, at_most)
    assert tnm.mask_diversity(2, 4, "transposable_at_most", shape) == (full * edges) ** 2
    assert tnm.mask_diversity(2, 4, "rowwise", shape) == (comb(4, 2) * 4) ** 10
    assert tnm.mask_diversity(2, 4, shape=(3, 4, 8)) == 90**6


@pytest.mark.parametrize("constraint", ["transposable", "transposable_at_most", "rowwise"])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 4, 4)])
def test_empty_tensors_have_one_mask(constraint: str, shape: tuple[int, ...]) -> None:
    assert tnm.mask_diversity(2, 4, constraint, shape) == 1  # type: ignore[arg-type]
    assert tnm.mask_diversity(2, 4, "unstructured", shape) == 1


@pytest.mark.parametrize("constraint", ["transposable", "transposable_at_most", "rowwise",
                                        "unstructured"])  # fmt: skip
def test_logarithm(constraint: str) -> None:
    for shape in (None, (9, 17), (2, 16, 16)):
        exact = tnm.mask_diversity(3, 8, constraint, shape)  # type: ignore[arg-type]
        rounded = counting.log10_mask_diversity(3, 8, constraint, shape)  # type: ignore[arg-type]
        assert rounded == pytest.approx(math.log10(exact), rel=1e-12)
    huge = counting.log10_mask_diversity(2, 4, shape=(1 << 20, 1 << 20))
    assert huge == pytest.approx(math.log10(90) * 2**36, rel=1e-12)


def test_margins_that_no_matrix_has() -> None:
    assert counting.count_margins([3, 3, 0], [2, 2, 2]) == 1
    assert counting.count_margins([4, 0, 0, 0], [2, 2, 0, 0]) == 0
    assert counting.count_margins([], []) == 1
    assert counting.count_margins([0, 0], []) == 1


def test_margins_by_trying_all() -> None:
    for rows, columns in (((1, 2, 2), (2, 1, 1, 1)), ((3, 1, 0), (1, 1, 1, 1)), ((2,), (1, 1, 0))):
        tried = count_by_trying(
            len(rows),
            len(columns),
            lambda r, c: (r, c) == (rows, columns),  # noqa: B023
        )
        assert counting.count_margins(rows, columns) == tried


def test_closed_form_is_not_the_count() -> None:
    assert counting.closed_form(2, 4) == 144
    assert counting.closed_form(4, 8) == factorial(8) * factorial(7) * factorial(6) * factorial(5)
    assert counting.closed_form(2, 16) < tnm.mask_diversity(2, 16)
    assert counting.closed_form(1, 9) == tnm.mask_diversity(1, 9)
    assert counting.closed_form(4, 8) > tnm.mask_diversity(2, 4, "rowwise", (8, 8))


@pytest.mark.parametrize(
    ("n", "m"),
    [(n, m) for m in (4, 5, 8, 11, 16, 18) for n in range(1, m)]
    + [(m // 8, m) for m in (24, 32, 40)] + [(2, 64), (4, 64), (2, 128), (1, 128), (127, 128)],
)  # fmt: skip
def test_estimate_is_within_its_error(n: int, m: int) -> None:
    told = counting.estimate(n, m)
    assert abs(told.log10 - math.log10(tnm.mask_diversity(n, m))) <= told.error
    assert told.error < 0.02
    assert counting.estimate(m, m) == counting.Estimate(0.0, 0.0)


def test_predicted_cost() -> None:
    costs = [counting.predicted_cost(n, 2 * n) for n in (4, 6, 8, 10, 12, 14, 16, 32)]
    seconds = [cost.seconds for cost in costs]
    assert seconds == sorted(seconds)
    assert seconds[0] < 0.1
    assert seconds[-2] > 300
    assert seconds[-1] > 1e12
    assert "primes" in costs[0].limited_by
    assert counting.predicted_cost(4, 4).seconds == 0


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_do_not_matter(threads: int) -> None:
    assert tnm.mask_diversity(8, 16, threads=threads) == KNOWN[8, 16]
    assert tnm.mask_diversity(7, 21, threads=threads) == tnm.mask_diversity(14, 21)


SUMS = """
import tnm_core as tnm
print(tnm.build_info()["instruction_set"],
      hash(tuple(tnm.mask_diversity(n, m, threads=2) for m in range(1, 15) for n in range(1, m))),
      tnm.mask_diversity(9, 18), tnm.mask_diversity(3, 40))
"""


def test_instruction_sets_agree() -> None:
    names = tnm.build_info()["instruction_sets"]
    assert isinstance(names, list)
    answers = set()
    for name in names:
        environment = {**os.environ, "TNM_FORCE_ISA": name, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-c", SUMS]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True)
        if "expected one of those" in finished.stderr:
            continue
        assert finished.returncode == 0, finished.stderr
        in_use, *answer = finished.stdout.split()
        assert in_use == name
        answers.add(tuple(answer))
    assert len(answers) == 1


@pytest.mark.parametrize("module", ["count", "cost", "formulas"])
def test_examples_in_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"tnm_core.counting.{module}"))
    assert tried > 0
    assert failed == 0
