"""compress and decompress: layout, round trips, both orientations."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnm_core as tnm
from tests.support import references
from tests.support.arrays import DTYPES, LAYOUTS, dtype_of, make_array, with_layout
from tests.support.strategies import Case, cases


def _bits(array: np.ndarray) -> np.ndarray:
    """Raw bits, so that NaN and signed zeros compare as what they are."""
    return np.ascontiguousarray(array).view(np.dtype(f"u{array.dtype.itemsize}"))


def _masked(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    expected = np.zeros(array.shape, dtype=array.dtype)
    expected[mask] = array[mask]
    return expected


def _assert_compressed(packed: Any, array: np.ndarray, mask: np.ndarray, axis: int) -> None:
    n, m = packed.n, packed.m
    along = np.moveaxis(array, axis, -1)
    groups = -(-along.shape[-1] // m)
    assert packed.axis == axis
    assert tuple(packed.shape) == array.shape
    assert packed.values.shape == (*along.shape[:-1], groups * n)
    assert packed.indices.shape == packed.values.shape
    assert packed.values.dtype == array.dtype
    assert packed.indices.dtype == np.uint8
    indices = packed.indices.reshape(*along.shape[:-1], groups, n).astype(int)
    assert (indices < m).all()
    assert (np.diff(indices, axis=-1) > 0).all(), "positions ascend and are distinct"
    dense = _masked(array, mask)
    by_hand = references.decompress(packed.values, packed.indices, n, m, axis, array.shape)
    np.testing.assert_array_equal(_bits(by_hand), _bits(dense))
    unpacked = tnm.decompress(packed)
    assert unpacked.dtype == array.dtype
    np.testing.assert_array_equal(_bits(unpacked), _bits(dense))


@settings(max_examples=200)
@given(cases(), st.sampled_from([-1, -2]), st.booleans())
def test_round_trip_of_anything(case: Case, axis: int, transposable: bool) -> None:
    array = case.array
    if transposable:
        mask = tnm.transposable_mask(array, case.n, case.m)
    else:
        mask = tnm.nm_mask(array, case.n, case.m, axis=axis)
    mask = with_layout(mask, case.layout)
    before = array.tobytes(), mask.tobytes()
    packed = tnm.compress(array, mask, case.n, case.m, axis=axis)
    assert (array.tobytes(), mask.tobytes()) == before
    assert (packed.n, packed.m) == (case.n, case.m)
    _assert_compressed(packed, array, mask, axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [-1, -2])
def test_dtypes(dtype: str, axis: int) -> None:
    array = make_array((2, 16, 24), dtype)
    mask = tnm.transposable_mask(array, 4, 8)
    _assert_compressed(tnm.compress(array, mask, 4, 8, axis=axis), array, mask, axis)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mask_layout", ["c", "transposed", "sliced", "read_only"])
def test_layouts(layout: str, mask_layout: str) -> None:
    array = make_array((3, 10, 14), layout=layout)
    mask = with_layout(tnm.transposable_mask(array, 2, 4), mask_layout)
    for axis in (-1, -2):
        _assert_compressed(tnm.compress(array, mask, 2, 4, axis=axis), array, mask, axis)


def test_values_and_positions_by_hand() -> None:
    array = np.array([[5, 0, 7, 8, 1, 2, 3, 4]])
    mask = np.array([[1, 0, 0, 1, 0, 1, 1, 0]], dtype=bool)
    packed = tnm.compress(array, mask, 2, 4)
    np.testing.assert_array_equal(packed.values, [[5, 8, 2, 3]])
    np.testing.assert_array_equal(packed.indices, [[0, 3, 1, 2]])
    upright = tnm.compress(array.T, mask.T, 2, 4, axis=-2)
    np.testing.assert_array_equal(upright.values, packed.values)
    np.testing.assert_array_equal(upright.indices, packed.indices)
    np.testing.assert_array_equal(tnm.decompress(upright), tnm.decompress(packed).T)


def test_both_orientations_of_a_transposable_mask() -> None:
    """The point of transposability: W and its transpose compress to the same size."""
    array = make_array((32, 48))
    mask = tnm.transposable_mask(array, 8, 16)
    rows, columns = (tnm.compress(array, mask, 8, 16, axis=axis) for axis in (-1, -2))
    assert rows.values.size == columns.values.size == array.size // 2
    np.testing.assert_array_equal(tnm.decompress(rows), tnm.decompress(columns))


def test_under_full_groups_are_padded_with_zeros() -> None:
    array = np.full((1, 8), 9.0)
    mask = np.zeros((1, 8), dtype=bool)
    mask[0, 6] = True
    packed = tnm.compress(array, mask, 3, 4)
    _assert_compressed(packed, array, mask, -1)
    assert not packed.values[0, :3].any()
    assert sorted(packed.values[0, 3:]) == [0.0, 0.0, 9.0]


def test_kept_bits_survive_and_dropped_ones_do_not() -> None:
    """Signed zeros, NaN and infinities are values like any other here."""
    array = np.array([[np.nan, -0.0, np.inf, 1.0], [-np.inf, np.nan, np.nan, -0.0]])
    mask = np.array([[1, 1, 0, 0], [0, 1, 0, 1]], dtype=bool)
    packed = tnm.compress(array, mask, 2, 4)
    np.testing.assert_array_equal(_bits(tnm.decompress(packed)), _bits(_masked(array, mask)))
    assert np.signbit(tnm.decompress(packed)[0, 1])
    assert not np.signbit(tnm.decompress(packed)[0, 2])


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("at", [(0, 0), (5, 7), (3, 9)])
def test_too_many_kept_is_located(axis: int, at: tuple[int, int]) -> None:
    array = make_array((8, 12))
    mask = tnm.transposable_mask(array, 2, 4)
    row, column = at[0] // 4 * 4, at[1] // 4 * 4
    if axis == -1:
        mask[at[0], column : column + 4] = [True, True, True, False]
        where = f"{at[0]}, {column}"
    else:
        mask[:, at[1]] = tnm.transposable_mask(array, 2, 4)[:, at[1]]
        mask[row : row + 4, at[1]] = [True, True, True, False]
        where = f"{row}, {at[1]}"
    with pytest.raises(ValueError, match=where) as caught:
        tnm.compress(array, mask, 2, 4, axis=axis)
    assert "3" in str(caught.value)
    assert "2" in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 8), (8, 0), (0, 4, 4), (2, 0, 4)])
@pytest.mark.parametrize("axis", [-1, -2])
def test_empty(shape: tuple[int, ...], axis: int) -> None:
    array, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    _assert_compressed(tnm.compress(array, mask, 2, 4, axis=axis), array, mask, axis)


def test_compressed_is_frozen() -> None:
    packed = tnm.compress(np.ones((4, 4)), np.eye(4, dtype=bool), 2, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        packed.n = 1


@pytest.mark.parametrize("m", [100, 128])
def test_largest_groups(m: int) -> None:
    array = make_array((2, 2 * m + 5), "float32")
    mask = tnm.nm_mask(array, m // 2, m)
    _assert_compressed(tnm.compress(array, mask, m // 2, m), array, mask, -1)


@pytest.mark.parametrize(
    "damage",
    [
        {"indices": np.full((4, 4), 200, dtype=np.uint8)},
        {"indices": np.full((4, 4), 4, dtype=np.uint8)},
        {"indices": np.zeros((4, 3), dtype=np.uint8)},
        {"values": np.zeros((4, 3))},
        {"values": np.zeros((3, 4))},
        {"shape": (4, 80)},
        {"shape": (9, 8)},
        {"n": 3},
        {"m": 2},
        {"axis": -2},
    ],
)
def test_damaged_input_of_decompress_is_refused(damage: dict[str, Any]) -> None:
    """Whatever was read from a file must not write outside of the result, nor pass as right."""
    array = make_array((4, 8), "float64")
    packed = tnm.compress(array, tnm.transposable_mask(array, 2, 4), 2, 4)
    with pytest.raises((ValueError, TypeError), match=r"\w"):
        tnm.decompress(dataclasses.replace(packed, **damage))


def test_dtype_of_values_is_kept_by_decompress() -> None:
    for dtype in DTYPES:
        array = make_array((4, 4), dtype)
        packed = tnm.compress(array, np.eye(4, dtype=bool), 1, 4)
        assert tnm.decompress(packed).dtype == dtype_of(dtype)


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_out_is_overwritten_and_returned(axis: int, dtype: str) -> None:
    array, other = make_array((2, 24, 40), dtype, seed=1), make_array((2, 24, 40), dtype, seed=2)
    mask = tnm.transposable_mask(array, 4, 8)
    out = tnm.compress(other, tnm.transposable_mask(other, 4, 8), 4, 8, axis=axis)
    values, indices = out.values, out.indices
    assert tnm.compress(array, mask, 4, 8, axis=axis, out=out) is out
    assert out.values is values
    assert out.indices is indices
    _assert_compressed(out, array, mask, axis)
    for order in "CF":
        dense = np.full(array.shape, 3, dtype=array.dtype, order=order)  # type: ignore[call-overload]
        assert tnm.decompress(out, out=dense) is dense
        np.testing.assert_array_equal(_bits(dense), _bits(_masked(array, mask)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n": 1}, ValueError, "out has n 1, expected 2"),
        ({"axis": -2}, ValueError, "out has axis -2, expected -1"),
        ({"shape": (4, 16)}, ValueError, "out has shape"),
        ({"values": np.zeros((8, 4))}, TypeError, "values of out: out has dtype float64"),
        ({"values": np.zeros((8, 2), np.float32)}, ValueError, "values of out: out has shape"),
        ({"indices": np.zeros((4, 8), np.uint8).T}, ValueError, "not contiguous"),
        ({"indices": np.zeros((8, 4), np.int8)}, TypeError, "indices of out: out has dtype int8"),
    ],
)
def test_out_that_does_not_fit(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    array = make_array((8, 8), "float32")
    mask = tnm.transposable_mask(array, 2, 4)
    packed = tnm.compress(array, mask, 2, 4)
    before = packed.values.copy()
    with pytest.raises(error, match=message):
        tnm.compress(-array, mask, 2, 4, out=dataclasses.replace(packed, **change))
    np.testing.assert_array_equal(packed.values, before)
    with pytest.raises(TypeError, match="out is a ndarray"):
        tnm.compress(array, mask, 2, 4, out=before)  # type: ignore[arg-type]


def test_out_that_shares_memory() -> None:
    memory = np.zeros((8, 16), np.float32)
    array, mask = memory[:, :8], np.tile(np.eye(4, dtype=bool), (2, 2))
    packed = tnm.compress(array, mask, 1, 4)
    inside = dataclasses.replace(packed, values=memory.reshape(-1)[4:20].reshape(8, 2))
    with pytest.raises(ValueError, match="values of out: out overlaps the array"):
        tnm.compress(array, mask, 1, 4, out=inside)
    both = np.zeros(64, np.uint8)
    twice = dataclasses.replace(
        packed,
        values=both.view(np.float32).reshape(8, 2),
        indices=both[:16].reshape(8, 2),
    )
    with pytest.raises(ValueError, match="values and indices of out overlap"):
        tnm.compress(array, mask, 1, 4, out=twice)
    values = np.zeros((8, 8), np.float32)
    with pytest.raises(ValueError, match="out overlaps the values"):
        tnm.decompress(dataclasses.replace(packed, values=values[:2].reshape(8, 2)), out=values)


@pytest.mark.parametrize("axis", [-1, -2])
def test_errors_leave_out_as_it_was(axis: int) -> None:
    array = make_array((64, 64), "float32")
    mask = tnm.transposable_mask(array, 2, 4)
    out = tnm.compress(array, mask, 2, 4, axis=axis)
    values, indices = out.values.copy(), out.indices.copy()
    mask[60:, 60:] = True
    with pytest.raises(ValueError, match="keeps 4, expected at most 2"):
        tnm.compress(-array, mask, 2, 4, axis=axis, out=out)
    np.testing.assert_array_equal(out.values, values)
    np.testing.assert_array_equal(out.indices, indices)
    out.indices[-1, -1] = 4
    dense = np.ones((64, 64), np.float32)
    with pytest.raises(ValueError, match="indices hold 4"):
        tnm.decompress(out, out=dense)
    assert (dense == 1).all()
