"""Fortran order, transposes and the like: the same masks and proofs as for a copy in C order.

Arrays whose columns are contiguous in memory are read by roads of their own, in panels and blocks;
the shapes reach over several of these, and past their ends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tnm_core as tnm
from tests.support.arrays import DTYPES, make_array

PATTERNS = [(1, 4), (2, 4), (3, 4), (2, 5), (4, 8), (5, 12), (8, 16), (9, 20), (16, 32), (32, 64)]
TIED = ["sparse", "binary", "ties", "constant"]


def unaligned_columns(values: np.ndarray) -> np.ndarray:
    """Place columns at odd addresses, odd distances apart."""
    rows, columns = values.shape
    stride = rows * values.itemsize + 3
    buffer = np.zeros(columns * stride + 1, dtype=np.uint8)
    view = np.ndarray(
        values.shape, values.dtype, buffer.data, offset=1, strides=(values.itemsize, stride)
    )
    view[...] = values
    return view


def part_of_larger(values: np.ndarray) -> np.ndarray:
    rows, columns = values.shape
    larger = np.zeros((columns + 3, rows + 9), dtype=values.dtype).T
    window = larger[5 : 5 + rows, 2 : 2 + columns]
    window[...] = values
    return window


def every_third_column(values: np.ndarray) -> np.ndarray:
    rows, columns = values.shape
    window = np.zeros((3 * columns, rows), dtype=values.dtype).T[:, 1::3]
    window[...] = values
    return window


def columns_backwards(values: np.ndarray) -> np.ndarray:
    return np.asfortranarray(values[:, ::-1])[:, ::-1]


COLUMN_LAYOUTS = [
    np.asfortranarray,
    unaligned_columns,
    part_of_larger,
    every_third_column,
    columns_backwards,
]


def assert_same_as_rows(values: np.ndarray, array: np.ndarray, n: int, m: int) -> None:
    assert array.strides[0] == array.itemsize
    expected = tnm.transposable_mask(values, n, m)
    for threads in (1, 3):
        mask = tnm.transposable_mask(array, n, m, threads=threads)
        np.testing.assert_array_equal(mask, expected)
        assert mask.flags.c_contiguous
    np.testing.assert_array_equal(tnm.nm_mask(array, n, m), tnm.nm_mask(values, n, m))
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("layout", COLUMN_LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype: str, layout: Callable[[np.ndarray], np.ndarray]) -> None:
    for n, m in [(2, 4), (3, 6), (4, 8), (8, 16)]:
        values = make_array((330, 150), dtype, seed=m)
        assert_same_as_rows(values, layout(values), n, m)


@pytest.mark.parametrize(("n", "m"), PATTERNS)
@pytest.mark.parametrize("distribution", ["normal", "student_t", *TIED])
def test_every_pattern(n: int, m: int, distribution: str) -> None:
    values = make_array((3 * m + 130, 5 * m + 71), "float32", distribution, seed=n)
    assert_same_as_rows(values, np.asfortranarray(values), n, m)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(2200, 70), (70, 1100), (2051, 64), (63, 63), (3, 200), (200, 3), (300, 1)]
)
def test_long_and_wide(shape: tuple[int, int], dtype: str) -> None:
    for distribution in ("normal", "sparse"):
        values = make_array(shape, dtype, distribution, seed=5)
        for n, m in [(2, 4), (4, 8), (32, 64)]:
            assert_same_as_rows(values, values.T.copy().T, n, m)


@pytest.mark.parametrize("score", ["abs", "square", "identity"])
def test_scores_and_certificates(score: str) -> None:
    values = make_array((150, 333), "float32", "ties", seed=2) - np.float32(3)
    for n, m in [(2, 4), (4, 8), (7, 16)]:
        expected, proof = tnm.transposable_mask(values, n, m, score=score, return_certificate=True)
        mask, turned = tnm.transposable_mask(
            np.asfortranarray(values), n, m, score=score, return_certificate=True
        )
        np.testing.assert_array_equal(mask, expected)
        np.testing.assert_array_equal(turned.row_prices, proof.row_prices)
        np.testing.assert_array_equal(turned.column_prices, proof.column_prices)
        np.testing.assert_array_equal(turned.gap, proof.gap)
        np.testing.assert_array_equal(
            tnm.transposable_mask(values.T.copy().T, n, m, score=score), expected
        )


def test_batches() -> None:
    values = make_array((2, 3, 70, 90), seed=4)
    for array in (values.swapaxes(2, 3).copy().swapaxes(2, 3), np.asfortranarray(values)):
        for n, m in [(2, 4), (4, 8)]:
            np.testing.assert_array_equal(
                tnm.transposable_mask(array, n, m), tnm.transposable_mask(values, n, m)
            )


def test_broadcast_columns() -> None:
    column = make_array((300, 1), seed=9)
    array = np.broadcast_to(column, (300, 130))
    for n, m in [(2, 4), (4, 8), (8, 16)]:
        np.testing.assert_array_equal(
            tnm.transposable_mask(array, n, m), tnm.transposable_mask(array.copy(), n, m)
        )


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_of_either_order(order: str) -> None:
    values = make_array((300, 150), seed=6)
    array = np.asfortranarray(values)
    for n, m in [(2, 4), (4, 8), (3, 6)]:
        backing = np.ones((310, 160), dtype=bool, order=order)
        out = backing[4:304, 7:157]
        assert tnm.transposable_mask(array, n, m, out=out) is out
        np.testing.assert_array_equal(out, tnm.transposable_mask(values, n, m))
        out[...] = True
        assert backing.all()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (199, 129), (70, 100)])
def test_first_non_finite_is_named(row: int, column: int) -> None:
    for n, m in [(2, 4), (4, 8)]:
        array = make_array((200, 130), layout="fortran", seed=7)
        array[row, column] = np.nan
        array[199, 129] = np.inf
        out = np.ones((200, 130), dtype=bool)
        with pytest.raises(ValueError, match=rf"array\[{row}, {column}\]"):
            tnm.transposable_mask(array, n, m)
        with pytest.raises(ValueError, match=rf"array\[{row}, {column}\]"):
            tnm.transposable_mask(array, n, m, out=out)
        assert out.all()
