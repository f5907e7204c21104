"""Which of several best masks comes out: pinned, because people compare and store masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tnm_core as tnm
from tests.support.arrays import DTYPES, LAYOUTS, dtype_of, make_array, with_layout
from tests.support.strategies import Case, cases
from tests.support.tiles import scores_of

METHODS = ["optimal", "two_approximation", "greedy"]
TIED = ["ties", "sparse", "binary", "constant"]


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 5e-324, 1e308])
@pytest.mark.parametrize(("n", "m"), [(1, 4), (2, 4), (3, 4), (3, 8), (8, 16), (12, 32), (64, 128)])
def test_constant_tile(n: int, m: int, value: float) -> None:
    """Row i of a constant tile keeps the n columns that follow those of row i - 1, in a ring."""
    rows, columns = np.indices((m, m))
    expected = (columns - n * rows) % m < n
    mask = tnm.transposable_mask(np.full((2 * m, 3 * m), value), n, m)
    np.testing.assert_array_equal(mask, np.tile(expected, (2, 3)))


def test_tied_tile() -> None:
    """A small tile with many best masks; this one is promised."""
    tile = np.arange(16).reshape(4, 4) % 3
    expected = np.array([[0, 0, 1, 1], [1, 1, 0, 0], [1, 0, 0, 1], [0, 1, 1, 0]], dtype=bool)
    np.testing.assert_array_equal(tnm.transposable_mask(tile, 2, 4), expected)


def test_fast_methods_on_a_constant_tile() -> None:
    """Equal scores rank by their row-major position: the first n rows and columns go first."""
    corner = np.zeros((8, 8), dtype=bool)
    corner[:3, :3] = True
    for method in ("two_approximation", "greedy"):
        mask = tnm.transposable_mask(np.ones((8, 8)), 3, 8, method=method, complete=False)
        if method == "two_approximation":
            np.testing.assert_array_equal(mask, corner)
        else:
            blocks = np.kron(np.eye(3, dtype=bool), np.ones((3, 3), dtype=bool))[:8, :8]
            np.testing.assert_array_equal(mask, blocks)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("distribution", TIED)
@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8), (5, 16), (16, 32)])
def test_a_tile_is_solved_the_same_wherever_it_lies(
    n: int, m: int, distribution: str, method: str
) -> None:
    tile = make_array((m, m), "float32", distribution, seed=n)
    alone = tnm.transposable_mask(tile, n, m, method=method)
    # Between other tiles, so that neighbours solved side by side cannot leak into each other.
    array = make_array((5 * m, 7 * m), "float32", "student_t", seed=m)
    for row, column in ((0, 0), (0, 6), (2, 3), (4, 0), (4, 6)):
        array[row * m : (row + 1) * m, column * m : (column + 1) * m] = tile
    mask = tnm.transposable_mask(array, n, m, method=method)
    for row, column in ((0, 0), (0, 6), (2, 3), (4, 0), (4, 6)):
        part = mask[row * m : (row + 1) * m, column * m : (column + 1) * m]
        np.testing.assert_array_equal(part, alone)


@settings(max_examples=150)
@given(cases())
def test_memory_layout_does_not_matter(case: Case) -> None:
    values = np.ascontiguousarray(case.array)
    mask = tnm.transposable_mask(values, case.n, case.m, score=case.score)
    for layout in LAYOUTS:
        array = with_layout(values, layout)
        again = tnm.transposable_mask(array, case.n, case.m, score=case.score)
        np.testing.assert_array_equal(again, mask, err_msg=layout)


@settings(max_examples=150)
@given(cases())
def test_dtype_does_not_matter(case: Case) -> None:
    """The same values in float64 (where every dtype's scores are computed) give the same mask."""
    array = case.array
    wide = scores_of(array, "identity")
    for method in METHODS:
        np.testing.assert_array_equal(
            tnm.transposable_mask(array, case.n, case.m, method=method, score=case.score),
            tnm.transposable_mask(wide, case.n, case.m, method=method, score=case.score),
        )
    np.testing.assert_array_equal(
        tnm.nm_mask(array, case.n, case.m, score=case.score),
        tnm.nm_mask(wide, case.n, case.m, score=case.score),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("distribution", TIED)
def test_small_integers_in_every_dtype(distribution: str, method: str) -> None:
    """Ties look the same whether stored as int8, bfloat16 or float64."""
    values = make_array((24, 40), "int8", distribution, seed=11)
    expected = tnm.transposable_mask(values, 4, 8, method=method)
    for dtype in ("int64", "uint16", "float16", "bfloat16", "float32", "float64"):
        array = values.astype(dtype_of(dtype))
        mask = tnm.transposable_mask(array, 4, 8, method=method)
        np.testing.assert_array_equal(mask, expected, err_msg=dtype)


@pytest.mark.parametrize("method", METHODS)
def test_repeated_calls_agree(method: str) -> None:
    array = make_array((64, 96), "int32", "ties")
    first = tnm.transposable_mask(array, 4, 8, method=method)
    for _ in range(20):
        np.testing.assert_array_equal(tnm.transposable_mask(array, 4, 8, method=method), first)


@pytest.mark.parametrize("distribution", ["normal", "ties", "sparse", "decades", "huge"])
@pytest.mark.parametrize("score", ["abs", "square", "identity"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_side_by_side_in_every_dtype(dtype: str, score: Any, distribution: str) -> None:
    """Rows of many tiles are read in vectors: each tile as if it were alone, an element a time."""
    for m in (4, 7, 8, 16, 33):
        n, tiles = m // 2, 2 * 64 // m + 1
        array = make_array((m, tiles * m), dtype, distribution, seed=m)
        for stored in (array, np.asfortranarray(array)):
            mask = tnm.transposable_mask(stored, n, m, score=score)
            for first in range(0, tiles * m, m):
                tile = array[:, first : first + m]
                alone = tnm.transposable_mask(tile.copy(), n, m, score=score)
                np.testing.assert_array_equal(mask[:, first : first + m], alone)


def test_signed_zeros_tie() -> None:
    array = make_array((16, 16), "float64", "sparse")
    flipped = np.where(array == 0, -0.0, array)
    for method in METHODS:
        for score in ("abs", "square", "identity"):
            np.testing.assert_array_equal(
                tnm.transposable_mask(array, 4, 8, method=method, score=score),
                tnm.transposable_mask(flipped, 4, 8, method=method, score=score),
            )
