"""Whatever array a user has: dtypes, strides, batches, `out`, empty and edge shapes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings

import tnm_core as tnm
from tests.support import references
from tests.support.arrays import DISTRIBUTIONS, DTYPES, LAYOUTS, make_array, with_layout
from tests.support.assertions import assert_solved
from tests.support.strategies import Case, cases
from tests.support.tiles import scores_of

METHODS = ["optimal", "two_approximation", "greedy"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_dtypes(dtype: str, distribution: str, method: str) -> None:
    array = make_array((16, 24), dtype, distribution, seed=7)
    assert_solved(array, 4, 8, method=method)
    assert_solved(array, 3, 7, method=method, score="identity")


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_lowest_integer_is_the_heaviest(dtype: str) -> None:
    """The magnitude of the lowest value does not fit its own type."""
    array = np.full((4, 4), np.iinfo(dtype).max // 2, dtype=dtype)
    np.fill_diagonal(array, np.iinfo(dtype).min)
    np.testing.assert_array_equal(tnm.transposable_mask(array, 1, 4), np.eye(4, dtype=bool))
    np.testing.assert_array_equal(
        tnm.transposable_mask(array, 3, 4, score="identity"), ~np.eye(4, dtype=bool)
    )


def test_unsigned_integers_beyond_the_signed_range() -> None:
    array = np.ones((4, 4), dtype=np.uint64)
    np.fill_diagonal(array, 2**64 - 1)
    for score in ("abs", "square", "identity"):
        mask = tnm.transposable_mask(array, 1, 4, score=score)
        np.testing.assert_array_equal(mask, np.eye(4, dtype=bool))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(16, 24), (9, 11), (2, 3, 8, 13)])
def test_layouts(shape: tuple[int, ...], dtype: str, layout: str) -> None:
    values = make_array(shape, dtype, seed=3)
    array = with_layout(values, layout)
    for method in METHODS:
        np.testing.assert_array_equal(
            tnm.transposable_mask(array, 4, 8, method=method),
            tnm.transposable_mask(values, 4, 8, method=method),
        )
    np.testing.assert_array_equal(tnm.nm_mask(array, 4, 8), tnm.nm_mask(values, 4, 8))
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("dtype", DTYPES)
def test_broadcast_views(dtype: str) -> None:
    """Strides of zero: one row, one column, one entry, one matrix for the whole batch."""
    row, column = make_array((1, 16), dtype, seed=1), make_array((16, 1), dtype, seed=2)
    for array in (
        np.broadcast_to(row, (16, 16)),
        np.broadcast_to(column, (16, 16)),
        np.broadcast_to(row[:, :1], (9, 17)),
        np.broadcast_to(make_array((8, 8), dtype), (3, 8, 8)),
    ):
        assert_solved(array, 3, 8)
        np.testing.assert_array_equal(
            tnm.transposable_mask(array, 3, 8), tnm.transposable_mask(array.copy(), 3, 8)
        )


def test_strided_views_that_skip_and_reverse() -> None:
    values = make_array((3, 40, 50), "float64", seed=1)
    for view in (
        values[::-1, 3::2, ::-3],
        values[1, ::-1][:, ::2],
        values.transpose(1, 2, 0),
        values.transpose(2, 0, 1)[::5],
        values[:, None, ::4, ::3],
    ):
        np.testing.assert_array_equal(
            tnm.transposable_mask(view, 2, 4), tnm.transposable_mask(view.copy(), 2, 4)
        )
        np.testing.assert_array_equal(
            tnm.nm_mask(view, 2, 4, axis=0), tnm.nm_mask(view.copy(), 2, 4, axis=0)
        )


def test_field_of_a_record_array() -> None:
    """Rows of odd byte lengths: strides that are no multiple of the item."""
    records = np.zeros((16, 16), dtype=[("flag", "u1"), ("weight", "<f8"), ("rest", "u1", 2)])
    values = make_array((16, 16), "float64")
    records["weight"] = values
    np.testing.assert_array_equal(
        tnm.transposable_mask(records["weight"], 4, 8), tnm.transposable_mask(values, 4, 8)
    )


@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8", ">i4", ">u8"])
def test_foreign_byte_order(dtype: str) -> None:
    values = make_array((16, 16), np.dtype(dtype).newbyteorder("=").name, seed=4)
    foreign = values.astype(dtype)
    np.testing.assert_array_equal(
        tnm.transposable_mask(foreign, 4, 8), tnm.transposable_mask(values, 4, 8)
    )
    np.testing.assert_array_equal(tnm.nm_mask(foreign, 4, 8), tnm.nm_mask(values, 4, 8))


def test_nested_lists() -> None:
    rows = [[1, -4, 2, 3], [5, 0, 1, 1], [2, 2, -2, 2], [0, 9, 8, 7]]
    mask = tnm.transposable_mask(rows, 2, 4)
    np.testing.assert_array_equal(mask, tnm.transposable_mask(np.array(rows), 2, 4))


def test_batch_is_a_loop_over_matrices() -> None:
    array = make_array((2, 3, 10, 12), "float64", seed=8)
    mask, proof = tnm.transposable_mask(array, 2, 4, return_certificate=True)
    for batch in np.ndindex(2, 3):
        one, its_proof = tnm.transposable_mask(array[batch], 2, 4, return_certificate=True)
        np.testing.assert_array_equal(mask[batch], one)
        np.testing.assert_array_equal(proof.dual[batch], its_proof.dual)
        np.testing.assert_array_equal(proof.row_prices[batch], its_proof.row_prices)
        np.testing.assert_array_equal(proof.column_prices[batch], its_proof.column_prices)


def test_many_axes() -> None:
    array = make_array((1, 2, 1, 1, 2, 1, 1, 5, 6), "float32")
    mask = tnm.transposable_mask(array, 2, 4)
    np.testing.assert_array_equal(
        mask.reshape(4, 5, 6), tnm.transposable_mask(array.reshape(4, 5, 6), 2, 4)
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape", [(0, 0), (0, 4), (4, 0), (0, 4, 4), (3, 0, 4), (3, 4, 0), (2, 0, 4, 4)]
)
def test_empty(shape: tuple[int, ...], method: str) -> None:
    for dtype in DTYPES:
        mask = tnm.transposable_mask(make_array(shape, dtype), 2, 4, method=method)
        assert mask.shape == shape
        assert mask.dtype == np.bool_
    out = np.ones(shape, dtype=bool)
    assert tnm.transposable_mask(np.zeros(shape), 2, 4, method=method, out=out) is out


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 3), (5, 4), (4, 5), (7, 7), (11, 2)])
@pytest.mark.parametrize("method", METHODS)
def test_edges(shape: tuple[int, int], method: str) -> None:
    for n in (1, 2, 3, 4):
        for distribution in ("normal", "ties", "constant", "negative"):
            array = make_array(shape, "float64", distribution, seed=n)
            for score in ("abs", "identity"):
                assert_solved(array, n, 4, method=method, score=score)


def test_edges_do_not_change_full_tiles() -> None:
    array = make_array((19, 21), seed=6)
    np.testing.assert_array_equal(
        tnm.transposable_mask(array, 4, 8)[:16, :16],
        tnm.transposable_mask(array[:16, :16], 4, 8),
    )


@pytest.mark.parametrize("m", [1, 2, 3, 8, 128])
def test_matrix_smaller_than_a_tile(m: int) -> None:
    array = make_array((3, 2), "float64")
    assert_solved(array, 1, m)
    assert_solved(array, m, m)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("out_layout", ["c", "fortran", "sliced", "negative_steps", "batch_last"])
@pytest.mark.parametrize("shape", [(16, 16), (9, 13), (2, 8, 11)])
def test_out(shape: tuple[int, ...], out_layout: str, method: str) -> None:
    array = make_array(shape, seed=2)
    expected = tnm.transposable_mask(array, 4, 8, method=method)
    for before in (False, True):
        out = with_layout(np.full(shape, before), out_layout)
        assert tnm.transposable_mask(array, 4, 8, method=method, out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_out_with_certificate() -> None:
    array = make_array((16, 16))
    out = np.ones((16, 16), dtype=bool)
    mask, proof = tnm.transposable_mask(array, 4, 8, out=out, return_certificate=True)
    assert mask is out
    proof.verify(array, out)


def test_nothing_beside_out_is_written() -> None:
    backing = np.ones((40, 60), dtype=bool)
    out = backing[3:35:2, 50:2:-3]
    assert out.shape == (16, 16)
    array = make_array((16, 16))
    tnm.transposable_mask(array, 4, 8, out=out)
    np.testing.assert_array_equal(out, tnm.transposable_mask(array, 4, 8))
    out[...] = True
    assert backing.all()


def test_out_beside_the_input_in_one_buffer() -> None:
    """Neighbours in memory do not overlap."""
    buffer = make_array((32, 16), "bool", seed=5)
    array, out = buffer[:16], buffer[16:]
    expected = tnm.transposable_mask(array.copy(), 4, 8)
    np.testing.assert_array_equal(tnm.transposable_mask(array, 4, 8, out=out), expected)


def test_result_is_writeable_and_c_ordered() -> None:
    mask = tnm.transposable_mask(make_array((8, 8), layout="read_only").T, 4, 8)
    assert mask.flags.writeable
    assert mask.flags.c_contiguous
    assert mask.flags.owndata


@settings(max_examples=100)
@given(cases())
def test_negation_and_scaling_change_nothing(case: Case) -> None:
    """Magnitudes matter, signs and powers of two do not."""
    array = scores_of(case.array, "identity") * 2.0**-30
    mask = tnm.transposable_mask(array, case.n, case.m)
    np.testing.assert_array_equal(mask, tnm.transposable_mask(-array, case.n, case.m))
    np.testing.assert_array_equal(mask, tnm.transposable_mask(array * 1024, case.n, case.m))


def test_identity_takes_scores_as_they_are() -> None:
    array = make_array((16, 16), "float64", seed=3)
    np.testing.assert_array_equal(
        tnm.transposable_mask(array, 4, 8),
        tnm.transposable_mask(abs(array), 4, 8, score="identity"),
    )
    np.testing.assert_array_equal(
        tnm.transposable_mask(array, 4, 8, score="square"),
        tnm.transposable_mask(array**2, 4, 8, score="identity"),
    )


def test_half_of_a_large_array_takes_no_copy_of_it() -> None:
    """Extra memory stays far below the input, also where strides are awkward."""
    array = make_array((2048, 2048), "float64", layout="transposed")[::-1, ::2]
    out = np.empty(array.shape, dtype=bool)
    tracemalloc.start()
    try:
        tnm.transposable_mask(array, 8, 16, out=out, threads=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # NumPy reports its buffers to tracemalloc, so a converted or compacted copy would show.
    assert peak < array.size // 8
    assert references.first_violation(out[:64, :64], 8, 16) is None
