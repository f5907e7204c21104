"""Buffers: one orientation in a flat array, and what is done with a damaged one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnm_core as tnm
from tests.support.arrays import dtype_of, make_array
from tests.support.products.assertions import assert_product_close
from tests.support.products.cases import DTYPES, MASKS, make_mask
from tests.support.products.references import packed_bytes
from tnm_core import products

EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
# Bytes before the values' place: magic, rows, columns, kept, dtype, three that nothing reads.
HEADER = 64
EXTREMES = [-(2**63), -1, 0, 1, 2, 63, 64, 65, 2**31, 2**40, 2**56, 2**60, 2**61, 2**63 - 1]


def _stored(values: np.ndarray) -> np.ndarray:
    return values.view(np.uint16) if values.dtype.name == "bfloat16" else values


@EVERY_DTYPE
@pytest.mark.parametrize("mask", MASKS)
def test_both_orientations(mask: str, dtype: str) -> None:
    weights, kept = make_array((70, 90), dtype), make_mask(mask, (70, 90))
    for values, flags in [(weights, kept), (weights.T, kept.T)]:
        buffer = products.pack_buffer(values, flags)
        assert (buffer.dtype, buffer.ndim) == (np.uint8, 1)
        held = products.BufferShape(*values.shape, int(flags.sum()), dtype)
        assert products.describe_buffer(buffer) == products.check_buffer(buffer) == held
        assert buffer.nbytes == packed_bytes(*values.shape, held.nnz, values.itemsize)
        back, back_mask = products.unpack_buffer(buffer)
        np.testing.assert_array_equal(back_mask, flags)
        expected = np.where(flags, values, np.zeros_like(values))
        np.testing.assert_array_equal(back, _stored(np.ascontiguousarray(expected)))
        x = make_array((7, values.shape[1]), dtype, seed=1)
        assert_product_close(products.multiply_buffer(buffer, x), x, values, flags)


def test_bfloat16_as_uint16() -> None:
    weights, mask = make_array((70, 90), "bfloat16"), make_mask("half", (70, 90))
    buffer = products.pack_buffer(weights.view(np.uint16), mask, dtype="bfloat16")
    assert buffer.tobytes() == products.pack_buffer(weights, mask).tobytes()
    x, bias = make_array((5, 90), "bfloat16", seed=1), make_array((1, 70), seed=2)[0]
    expected = products.multiply_buffer(buffer, x, bias=bias, activation="silu")
    assert expected.dtype == x.dtype
    got = products.multiply_buffer(buffer, x.view(np.uint16), bias=bias, activation="silu")
    assert got.dtype == np.uint16
    assert got.tobytes() == expected.tobytes()
    out = np.zeros_like(got)
    assert products.multiply_buffer(buffer, x.view(np.uint16), out, bias, "silu") is out
    assert out.tobytes() == expected.tobytes()
    products.update_buffer_(buffer, (-weights).view(np.uint16))
    assert buffer.tobytes() == products.pack_buffer(-weights, mask).tobytes()


@EVERY_DTYPE
def test_buffers_may_be_moved(dtype: str) -> None:
    """They hold no pointers, and need not be aligned."""
    weights, mask = make_array((70, 90), dtype), make_mask("half", (70, 90))
    buffer = products.pack_buffer(weights, mask)
    x = make_array((7, 90), dtype, seed=1)
    expected = products.multiply_buffer(buffer, x).tobytes()
    room = np.zeros(buffer.size + 128, dtype=np.uint8)
    start = -room.ctypes.data % 64
    for shift in (0, 1, 2, 4, 7, 63):
        moved = room[start + shift : start + shift + buffer.size]
        moved[...] = buffer
        assert products.multiply_buffer(moved, x).tobytes() == expected
        products.update_buffer_(moved, weights)
        assert moved.tobytes() == buffer.tobytes()


@EVERY_DTYPE
def test_update_writes_what_packing_anew_does(dtype: str) -> None:
    for shape, mask in [((65, 130), "half"), ((130, 64), "full"), ((3, 1000), "tenth")]:
        weights, kept = make_array(shape, dtype), make_mask(mask, shape)
        new = make_array(shape, dtype, seed=1)
        buffer = products.pack_buffer(weights, kept)
        products.update_buffer_(buffer, new)
        assert buffer.tobytes() == products.pack_buffer(new, kept).tobytes()


# ---- damage -------------------------------------------------------------------------


def _is_sound(buffer: np.ndarray) -> bool:
    """Whether it is accepted; then it is a matrix like any other."""
    try:
        held = products.check_buffer(buffer)
    except ValueError:
        return False
    # Sides without entries may be of any size.
    if held.rows * held.columns == 0 or max(held.rows, held.columns) > 10**4:
        assert held.nnz == 0
        return True
    stored, mask = products.unpack_buffer(buffer)
    assert mask.sum() == held.nnz
    weights = stored.view(dtype_of(held.dtype))
    x = np.ones((3, held.columns), dtype=weights.dtype)
    again = products.pack_buffer(weights, mask)
    for tokens in (x, np.tile(x, (5, 1))):
        got = products.multiply_buffer(buffer, tokens)
        assert got.tobytes() == products.multiply_buffer(again, tokens).tobytes()
    return True


def _example(dtype: str = "float32", rows: int = 66, columns: int = 70) -> np.ndarray:
    weights = make_array((rows, columns), dtype, "ties")
    return products.pack_buffer(weights, make_mask("half", (rows, columns)))


@EVERY_DTYPE
@pytest.mark.parametrize("shape", [(66, 65), (1, 1), (3, 129)])
def test_every_byte_may_be_damaged(dtype: str, shape: tuple[int, int]) -> None:
    good = _example(dtype, *shape)
    nnz = products.describe_buffer(good).nnz
    values = good.size - 64 - nnz * dtype_of(dtype).itemsize
    accepted = set()
    # Each of what tells where things lie, some of the values.
    for at in [*range(values), *range(values, good.size - 64, 61)]:
        for flip in (0x01, 0x80, 0xFF) if at < HEADER else (0x10,):
            bad = good.copy()
            bad[at] ^= flip
            if _is_sound(bad):
                accepted.add(at)
            else:
                assert at < values
    assert not accepted & {*range(8), *range(24, 32)}


@settings(max_examples=150)
@given(st.data())
def test_damage_of_any_kind(data: st.DataObject) -> None:
    bad = _example(data.draw(st.sampled_from(DTYPES)))
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["integer", "byte", "swap"]))
        if kind == "integer":
            at = data.draw(st.integers(0, 40))
            bad[8 * at : 8 * at + 8].view(np.int64)[0] = data.draw(st.sampled_from(EXTREMES))
        elif kind == "byte":
            bad[data.draw(st.integers(0, bad.size - 1))] = data.draw(st.integers(0, 255))
        else:
            a, b = (8 * data.draw(st.integers(0, bad.size // 8 - 1)) for _ in range(2))
            bad[a : a + 8], bad[b : b + 8] = bad[b : b + 8].copy(), bad[a : a + 8].copy()
    _is_sound(bad)


def test_bits_that_move_between_windows_are_found() -> None:
    """The number of bits is right in all, and wrong where values begin."""
    good = _example()
    bits = HEADER + 8 * (2 * 2 + 1)
    for row, other in [(0, 64), (63, 65), (5, 66 + 3)]:
        bad = good.copy()
        words = bad[bits : bits + 8 * 132].view(np.uint64)
        free = ~words[row] & np.uint64(2**64 - 1)
        lowest = free & (~free + np.uint64(1))
        words[row] |= lowest
        words[other] &= words[other] - np.uint64(1)
        assert not _is_sound(bad)


def test_bits_beyond_the_columns_are_found() -> None:
    good = _example(columns=70)
    bits = HEADER + 8 * (2 * 2 + 1)
    second = bits + 8 * 66
    for column in (6, 7, 31, 63):
        bad = good.copy()
        word = bad[second : second + 8].view(np.uint64)
        # Another bit goes for it, so that the counts agree.
        word &= word - np.uint64(1)
        word |= np.uint64(1) << np.uint64(column)
        assert not _is_sound(bad)


@pytest.mark.parametrize("change", [-64, -1, 1, 64])
def test_another_length_is_refused(change: int) -> None:
    good = _example()
    bad = good[:change].copy() if change < 0 else np.append(good, np.zeros(change, np.uint8))
    with pytest.raises(ValueError, match="not a packed matrix"):
        products.describe_buffer(bad)


def test_a_side_of_any_length_is_checked_at_once() -> None:
    """A few bytes may claim 2**40 columns of no rows: nothing is there to be looked at."""
    buffer = products.pack_buffer(np.zeros((0, 7), np.float32), np.zeros((0, 7), bool))
    buffer[16:24].view(np.int64)[0] = 2**39
    assert products.check_buffer(buffer) == products.BufferShape(0, 2**39, 0, "float32")
    buffer[8:24].view(np.int64)[:] = [2**39, 0]
    assert products.check_buffer(buffer) == products.BufferShape(2**39, 0, 0, "float32")


def test_what_is_no_buffer_is_refused() -> None:
    good = _example()
    for other in (good.astype(np.int8), good.reshape(1, -1), good.tolist(), good.tobytes(), None):
        with pytest.raises(TypeError, match="expected a packed matrix"):
            products.describe_buffer(other)
    for other in (np.repeat(good, 2)[::2], good[::-1]):
        with pytest.raises(ValueError, match=r"copy\(\)"):
            products.describe_buffer(other)


def test_dense_products_of_the_same_matrix_agree() -> None:
    """What a buffer holds is what a PackedMatrix multiplies by."""
    weights, mask = make_array((70, 90)), make_mask("half", (70, 90))
    x = make_array((20, 90), seed=1)
    packed = tnm.pack(weights, mask)
    buffer = products.pack_buffer(weights, mask)
    assert products.multiply_buffer(buffer, x).tobytes() == (x @ packed.T).tobytes()
