"""Packing and what comes back: values, mask, sizes; new values; copies and pickles."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import tnm_core as tnm
from tests.support.arrays import LAYOUTS, dtype_of, make_array, with_layout
from tests.support.products.cases import (
    DTYPES,
    MASKS,
    SIDES,
    ProductCase,
    make_mask,
    pack_any,
    product_cases,
)
from tests.support.products.references import packed_bytes

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint8)


def _assert_holds(packed: tnm.PackedMatrix, weights: np.ndarray, mask: np.ndarray) -> None:
    kept = np.where(mask, weights, np.zeros_like(weights))
    np.testing.assert_array_equal(_bits(packed.toarray()), _bits(kept))
    np.testing.assert_array_equal(packed.mask, mask)
    assert packed.mask.dtype == np.bool_
    assert packed.toarray().dtype == packed.dtype == weights.dtype
    assert packed.shape == weights.shape
    assert packed.nnz == mask.sum()
    assert packed.density == (mask.mean() if mask.size else 0)


def _same_products(one: tnm.PackedMatrix, other: tnm.PackedMatrix) -> None:
    for tokens in (2, 20):
        x = make_array((tokens, one.shape[1]), one.dtype.name, seed=5)
        y = make_array((tokens, one.shape[0]), one.dtype.name, seed=6)
        assert (x @ one.T).tobytes() == (x @ other.T).tobytes()
        assert (y @ one).tobytes() == (y @ other).tobytes()


@given(product_cases())
def test_round_trip_of_anything(case: ProductCase) -> None:
    weights, mask = case.matrix()
    before = weights.tobytes(), mask.tobytes()
    packed = pack_any(weights, mask)
    assert (weights.tobytes(), mask.tobytes()) == before
    _assert_holds(packed, weights, mask)
    assert packed.nbytes == packed_bytes(*packed.shape, packed.nnz, packed.dtype.itemsize)


@EVERY_DTYPE
@pytest.mark.parametrize("mask", MASKS)
def test_every_side(dtype: str, mask: str) -> None:
    for k, side in enumerate(SIDES):
        shape = (side, SIDES[(3 * k + 1) % len(SIDES)])
        weights, kept = make_array(shape, dtype, seed=k), make_mask(mask, shape, k)
        _assert_holds(pack_any(weights, kept), weights, kept)


@EVERY_DTYPE
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_weights_and_mask(layout: str, dtype: str) -> None:
    for shape in [(9, 70), (70, 9), (128, 128)]:
        weights, mask = make_array(shape, dtype), make_mask("half", shape)
        for pair in [(layout, "c"), ("c", layout), (layout, layout)]:
            packed = tnm.pack(with_layout(weights, pair[0]), with_layout(mask, pair[1]))
            _assert_holds(packed, weights, mask)


def test_weights_and_masks_that_repeat() -> None:
    row = make_array((1, 130))
    flags = make_mask("half", (1, 130))
    weights, mask = np.broadcast_to(row, (70, 130)), np.broadcast_to(flags, (70, 130))
    _assert_holds(tnm.pack(weights, mask), weights, mask)
    _assert_holds(tnm.pack(weights.T, mask.T), weights.T, mask.T)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint16", "uint64"])
def test_masks_of_integers(dtype: str) -> None:
    weights, mask = make_array((20, 90)), make_mask("half", (20, 90))
    _assert_holds(tnm.pack(weights, mask.astype(dtype)), weights, mask)
    _assert_holds(tnm.pack(weights, mask.astype(dtype).tolist()), weights, mask)


@EVERY_DTYPE
def test_without_a_mask_zeros_are_left_out(dtype: str) -> None:
    weights = make_array((65, 70), dtype, "sparse")
    weights[0, :4] = [-0.0, np.nan, np.inf, 1]
    _assert_holds(tnm.pack(weights), weights, (weights != 0) | (weights != weights))
    assert tnm.pack(np.zeros((5, 6), dtype=dtype_of(dtype))).nnz == 0


@pytest.mark.parametrize("pattern", ["2:4", "16:32", "1:4"])
def test_sizes_that_are_promised(pattern: str) -> None:
    weights = make_array((768, 768))
    mask = tnm.transposable_mask(weights, pattern)
    assert tnm.pack(weights, mask).nbytes <= 0.55 * weights.nbytes
    halves = weights.astype(np.float16)
    packed = tnm.pack(halves, mask)
    assert packed.nbytes <= 0.5701 * halves.nbytes
    once = packed.nbytes
    np.ones((1, 768), np.float16) @ packed.T
    assert packed.nbytes == once
    np.ones((1, 768), np.float16) @ packed
    assert packed.nbytes == 2 * once


def test_transpose() -> None:
    weights, mask = make_array((30, 70)), make_mask("half", (30, 70))
    packed = tnm.pack(weights, mask)
    assert isinstance(packed.T, tnm.TransposedPackedMatrix)
    assert packed.T.T is packed
    assert packed.T.shape == (70, 30)
    assert packed.T.ndim == packed.ndim == 2
    assert packed.T.dtype == packed.dtype == np.float32
    np.testing.assert_array_equal(packed.T.toarray(), packed.toarray().T)
    turned = tnm.pack(weights.T, mask.T)
    x, y = make_array((20, 70), seed=1), make_array((20, 30), seed=2)
    assert (x @ packed.T).tobytes() == (x @ turned).tobytes()
    assert (y @ packed).tobytes() == (y @ turned.T).tobytes()


def test_repr_tells_what_it_is() -> None:
    packed = tnm.pack(np.eye(8, 16, dtype=np.float32))
    for part in ("PackedMatrix", "8 x 16", "float32", "8 kept", "6.2%", f"{packed.nbytes} bytes"):
        assert part in repr(packed)
    assert repr(packed) in repr(packed.T)
    assert "transpose" in repr(packed.T)


@pytest.mark.parametrize(("kept", "warned"), [(90, False), (91, True), (100, True)])
def test_warning_where_dense_is_faster(kept: int, warned: bool) -> None:
    mask = (np.arange(100) < kept).reshape(10, 10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        packed = tnm.pack(make_array((10, 10)), mask)
    assert packed.nnz == kept
    assert [str(one.message).startswith(f"the mask keeps {kept}%") for one in caught] == (
        [True] if warned else []
    )
    assert all(one.filename == __file__ for one in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in [(0, 4), (4, 0), (0, 0)]:
            tnm.pack(np.zeros(shape, dtype=np.float32))


# ---- new values -------------------------------------------------------------------


@given(product_cases())
def test_update_is_packing_anew(case: ProductCase) -> None:
    """Bit for bit, in both directions, whatever the layout of the new values."""
    weights, mask = case.matrix()
    packed, only_rows = pack_any(weights, mask), pack_any(weights, mask)
    np.zeros((1, case.rows), dtype=weights.dtype) @ packed
    assert packed.nbytes > only_rows.nbytes
    new = make_array(weights.shape, case.dtype, case.x, case.seed + 9, case.x_layout)
    before = new.tobytes()
    packed.update_(new)
    only_rows.update_(new)
    assert new.tobytes() == before
    for one in (packed, only_rows):
        _assert_holds(one, new, mask)
        _same_products(one, pack_any(new, mask))


@EVERY_DTYPE
@pytest.mark.parametrize("mask", MASKS)
def test_update_of_every_mask(mask: str, dtype: str) -> None:
    shape = (130, 200)
    weights, kept = make_array(shape, dtype), make_mask(mask, shape)
    packed = pack_any(weights, kept)
    np.zeros((1, 130), dtype=weights.dtype) @ packed
    new = make_array(shape, dtype, seed=1)
    # What is left out is not read.
    new[~kept] = np.nan
    packed.update_(new)
    _assert_holds(packed, new, kept)
    _same_products(packed, pack_any(new, kept))


def test_update_does_not_touch_copies() -> None:
    weights, mask = make_array((20, 30)), make_mask("half", (20, 30))
    packed = tnm.pack(weights, mask)
    np.zeros((1, 20), dtype=np.float32) @ packed
    twins = [packed.copy(), copy.copy(packed), copy.deepcopy(packed)]
    packed.update_(2 * weights)
    for twin in twins:
        _assert_holds(twin, weights, mask)
        _same_products(twin, tnm.pack(weights, mask))
    _assert_holds(packed, 2 * weights, mask)


def test_weights_and_mask_are_not_kept() -> None:
    weights, mask = make_array((20, 30)), make_mask("half", (20, 30))
    packed = tnm.pack(weights, mask)
    before = weights.copy(), mask.copy()
    weights[...], mask[...] = 5, False
    _assert_holds(packed, *before)


# ---- pickles ------------------------------------------------------------------------


@EVERY_DTYPE
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(dtype: str, protocol: int) -> None:
    for shape in [(70, 90), (0, 5), (5, 0), (1, 1)]:
        weights, mask = make_array(shape, dtype), make_mask("half", shape)
        packed = pack_any(weights, mask)
        loaded = pickle.loads(pickle.dumps(packed, protocol))
        _assert_holds(loaded, weights, mask)
        _same_products(loaded, packed)
        loaded.update_(weights)
        transposed = pickle.loads(pickle.dumps(packed.T, protocol))
        assert transposed.shape == shape[::-1]


def test_pickle_holds_values_and_bits_once() -> None:
    packed = tnm.pack(make_array((256, 256)), make_mask("half", (256, 256)))
    size = len(pickle.dumps(packed))
    assert size < 4 * packed.nnz + 256 * 256 / 8 + 600
    np.zeros((1, 256), dtype=np.float32) @ packed
    assert len(pickle.dumps(packed)) == size


def _out_of_band(packed: tnm.PackedMatrix) -> tuple[bytes, list[bytearray]]:
    """A pickle, and its values and bits apart from it."""
    buffers: list[Any] = []
    data = pickle.dumps(packed, 5, buffer_callback=buffers.append)
    return data, [bytearray(buffer.raw()) for buffer in buffers]


def test_pickle_that_is_damaged() -> None:
    """One bit of the mask more or less is found, and other values are other values."""
    weights, mask = make_array((9, 71)), make_mask("half", (9, 71))
    packed = tnm.pack(weights, mask)
    data, (values, bits) = _out_of_band(packed)
    assert (len(values), len(bits)) == (4 * packed.nnz, 80)
    for at in range(80):
        for bit in range(8):
            damaged = bits.copy()
            damaged[at] ^= 1 << bit
            with pytest.raises(ValueError, match="expected"):
                pickle.loads(data, buffers=[values, damaged])
    for at in range(0, len(values), 37):
        damaged = values.copy()
        damaged[at] ^= 0x10
        loaded = pickle.loads(data, buffers=[damaged, bits])
        np.testing.assert_array_equal(loaded.mask, mask)
        assert (loaded.toarray() != packed.toarray()).sum() == 1


def test_pickle_in_read_only_memory() -> None:
    weights, mask = make_array((9, 70)), make_mask("half", (9, 70))
    data, buffers = _out_of_band(tnm.pack(weights, mask))
    loaded = pickle.loads(data, buffers=[bytes(raw) for raw in buffers])
    _assert_holds(loaded, weights, mask)
    loaded.update_(-weights)
    _assert_holds(loaded, -weights, mask)
