"""Products by address: the same as those of arrays, bit for bit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tnm_core.products import multiply_buffer, multiply_memory, pack_buffer


def _packed(rows: int, columns: int, dtype: str = "float32") -> np.ndarray:
    rng = np.random.default_rng(rows)
    weights = rng.normal(size=(rows, columns)).astype(dtype)
    return pack_buffer(weights, rng.random(weights.shape) < 0.5)


def _multiplied(packed: np.ndarray, x: np.ndarray, rows: int, **options: Any) -> np.ndarray:
    """Multiply into memory that is longer than the result, whose end must stay as it is."""
    entries = int(np.prod(x.shape[:-1])) * rows
    memory = np.full(entries + 16, 7, dtype=x.dtype)
    strides = [step // x.itemsize for step in x.strides]
    view = (x.ctypes.data, x.shape, strides)
    held = (packed.ctypes.data, packed.nbytes)
    multiply_memory(held, x.dtype.name, view, memory.ctypes.data, rows, **options)
    assert (memory[entries:] == 7).all()
    return memory[:entries].reshape(*x.shape[:-1], rows)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", [(40,), (1, 40), (5, 40), (2, 3, 40), (70, 40), (0, 40)])
def test_as_products_of_arrays(shape: tuple[int, ...], dtype: str) -> None:
    packed = _packed(33, 40, dtype)
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    bias = np.arange(33, dtype=np.float32)
    for threads in (1, 3):
        found = _multiplied(packed, x, 33, bias=bias.ctypes.data, threads=threads)
        np.testing.assert_array_equal(found, multiply_buffer(packed, x, bias=bias))
    np.testing.assert_array_equal(_multiplied(packed, x, 33), multiply_buffer(packed, x))


def test_strides_of_any_kind() -> None:
    packed = _packed(24, 40)
    memory = np.random.default_rng(2).normal(size=(40, 6, 80)).astype(np.float32)
    for x in (memory.T, memory[:, :, ::-2].T, memory[:, 0, :40], memory.transpose(1, 2, 0)):
        np.testing.assert_array_equal(_multiplied(packed, x, 24), multiply_buffer(packed, x))


@pytest.mark.parametrize(
    ("x", "rows", "told"),
    [
        (np.ones((2, 39), np.float32), 24, "no float32 matrix of 24 x 39"),
        (np.ones((2, 40), np.float32), 23, "no float32 matrix of 23 x 40"),
        (np.ones((2, 40), np.float16), 24, "no float16 matrix of 24 x 40"),
    ],
)
def test_what_does_not_fit_is_refused(x: np.ndarray, rows: int, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        _multiplied(_packed(24, 40), x, rows)


def test_memory_that_is_not_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="no float32 matrix of 24 x 40"):
        _multiplied(np.zeros(4096, np.uint8), np.ones((2, 40), np.float32), 24)
