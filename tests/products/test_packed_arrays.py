"""Packed matrices as values and bits: as documented, back again, refused where they disagree."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import tests.support.strategies  # noqa: F401 - the profile of hypothesis
import tnm_core as tnm
from tnm_core.products import (
    PackedArrays,
    arrays_of_buffer,
    buffer_of_arrays,
    describe_buffer,
    pack_buffer,
    unpack_buffer,
)

DTYPES = [np.dtype(name) for name in (np.float32, np.float16, ml_dtypes.bfloat16)]


def _any_bits(
    rng: np.random.Generator, shape: tuple[int, int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Every bit pattern: NaN with any payload, infinity, subnormal numbers, both zeros."""
    raw = rng.integers(0, 256, (*shape, dtype.itemsize), dtype=np.uint8)
    raw[rng.random(shape) < 0.1] = 0
    return raw.view(dtype)[..., 0]


@given(
    rows=st.integers(0, 200),
    columns=st.integers(0, 200),
    density=st.sampled_from([0.0, 0.02, 0.5, 0.97, 1.0]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.filterwarnings("ignore:the mask keeps")
def test_arrays_are_as_documented_and_come_back(
    rows: int, columns: int, density: float, dtype: np.dtype[Any], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = _any_bits(rng, (rows, columns), dtype)
    mask = rng.random((rows, columns)) < density
    packed = tnm.pack(weights, mask)
    arrays = packed.to_arrays()

    assert arrays.shape == (rows, columns)
    assert arrays.values.dtype == dtype
    kept = [weights[i, j].tobytes() for i in range(rows) for j in range(columns) if mask[i, j]]
    assert arrays.values.tobytes() == b"".join(kept)
    assert arrays.bits.dtype == np.uint8
    flags = [arrays.bits[k // 8] >> (k % 8) & 1 for k in range(8 * arrays.bits.size)]
    assert flags[: mask.size] == mask.ravel().tolist()
    assert not any(flags[mask.size :])
    assert len(flags) - mask.size < 8

    again = tnm.PackedMatrix.from_arrays(*arrays)
    assert (again.shape, again.dtype, again.nnz) == (packed.shape, packed.dtype, packed.nnz)
    assert again.toarray().tobytes() == packed.toarray().tobytes()
    np.testing.assert_array_equal(again.mask, mask)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_products_are_those_of_the_matrix_before(dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(130, 70)).astype(dtype)
    packed = tnm.pack(weights, rng.random(weights.shape) < 0.5)
    again = tnm.PackedMatrix.from_arrays(*packed.to_arrays())
    x, y = (rng.normal(size=(5, side)).astype(dtype) for side in (70, 130))
    assert (x @ again.T).tobytes() == (x @ packed.T).tobytes()
    assert (y @ again).tobytes() == (y @ packed).tobytes()


def test_arrays_have_memory_of_their_own() -> None:
    packed = tnm.pack(np.eye(9, dtype=np.float32))
    arrays = packed.to_arrays()
    again = tnm.PackedMatrix.from_arrays(*arrays)
    arrays.values[:] = 0
    arrays.bits[:] = 0
    for one in (packed, again):
        np.testing.assert_array_equal(one.toarray(), np.eye(9))


def test_values_of_either_byte_order_and_of_any_stride() -> None:
    weights = np.arange(1, 16, dtype=np.float32).reshape(3, 5)
    values, bits, shape = tnm.pack(weights, weights % 2 == 0).to_arrays()
    swapped = values.astype(values.dtype.newbyteorder())
    strided = np.repeat(values, 2)[::2], np.repeat(bits, 3)[::3]
    for held in ((swapped, bits), strided):
        again = tnm.PackedMatrix.from_arrays(*held, shape)
        assert again.dtype == np.float32
        assert again.dtype.isnative
        np.testing.assert_array_equal(again.toarray(), np.where(weights % 2 == 0, weights, 0))


def test_buffers_take_bfloat16_as_uint16() -> None:
    weights = np.arange(24, dtype=np.float32).reshape(4, 6).astype(ml_dtypes.bfloat16)
    buffer = pack_buffer(weights, weights != 0)
    values, bits, shape = arrays_of_buffer(buffer)
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values.view(ml_dtypes.bfloat16), weights[weights != 0])
    again = buffer_of_arrays(values, bits, shape, "bfloat16")
    assert describe_buffer(again) == describe_buffer(buffer)
    for found, expected in zip(unpack_buffer(again), unpack_buffer(buffer), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(TypeError, match="array of values has dtype uint16"):
        tnm.PackedMatrix.from_arrays(values, bits, shape)


GOOD = PackedArrays(np.float32([5, 7, 9]), np.array([0b101010], np.uint8), (2, 3))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"values": np.float32([5, 7])}, ValueError, r"shape \(2,\), expected \(3,\)"),
        ({"values": np.float32([[5, 7, 9]])}, ValueError, r"shape \(1, 3\), expected \(3,\)"),
        ({"values": np.float64([5, 7, 9])}, TypeError, "dtype float64, expected float32"),
        ({"values": [5, 7, 9]}, TypeError, "dtype int64, expected float32"),
        ({"bits": np.array([0b111010], np.uint8)}, ValueError, r"expected \(4,\)"),
        ({"bits": np.array([0b1101010], np.uint8)}, ValueError, "beyond the 6 entries"),
        ({"bits": np.array([42, 0], np.uint8)}, ValueError, r"shape \(2,\), expected \(1,\)"),
        ({"bits": np.array([[42]], np.uint8)}, ValueError, r"shape \(1, 1\), expected \(1,\)"),
        ({"bits": np.array([42], np.int8)}, TypeError, "dtype int8, expected uint8"),
        ({"bits": np.ones(6, np.bool_)}, TypeError, "dtype bool, expected uint8"),
        ({"shape": (2, 2)}, ValueError, "beyond the 4 entries"),
        ({"shape": (3, 3)}, ValueError, "one bit for each of 3 x 3 entries"),
        ({"shape": (-2, -3)}, ValueError, "expected sides from 0"),
        ({"shape": (2**62, 2**62)}, ValueError, "expected sides from 0"),
        ({"shape": (6,)}, ValueError, "expected two integers"),
        ({"shape": (2.0, 3.0)}, ValueError, "expected two integers"),
        ({"shape": 6}, ValueError, "expected two integers"),
    ],
)
def test_arrays_that_do_not_belong_together(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    assert tnm.PackedMatrix.from_arrays(*GOOD).nnz == 3
    with pytest.raises(error, match=words):
        tnm.PackedMatrix.from_arrays(*GOOD._replace(**change))


def test_long_sides_without_entries() -> None:
    nothing, bits = np.zeros(0, np.float32), np.zeros(0, np.uint8)
    assert tnm.PackedMatrix.from_arrays(nothing, bits, (0, 2**40 - 1)).shape == (0, 2**40 - 1)
    with pytest.raises(ValueError, match="expected sides from 0"):
        tnm.PackedMatrix.from_arrays(nothing, bits, (2**40, 0))
