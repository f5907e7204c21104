"""Dropping weights by their bits, against plain NumPy on float64."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tnm_core.cli.pruning.layer_mask import drop_

DTYPES = [
    *(np.dtype(name) for name in ("f2", "f4", "f8", "i1", "i4", "u2", ">f4")),
    *(np.dtype(one) for one in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn)),
]
LAYOUTS = st.sampled_from(["c", "fortran", "strided"])
SHAPES = st.lists(st.integers(0, 9), min_size=2, max_size=3)


def _weights(shape: list[int], dtype: np.dtype[Any], seed: int) -> NDArray[Any]:
    values = np.random.default_rng(seed).normal(scale=20, size=shape)
    return np.abs(values).astype(dtype) if dtype.kind == "u" else values.astype(dtype)


def _layout(array: NDArray[Any], layout: str) -> NDArray[Any]:
    if layout == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return np.asarray(array, order="F" if layout == "fortran" else "C")


@given(SHAPES, st.sampled_from(DTYPES), LAYOUTS, st.integers(0))
def test_drop(shape: list[int], dtype: np.dtype[Any], layout: str, seed: int) -> None:
    weights = _layout(_weights(shape, dtype, seed), layout)
    mask = np.random.default_rng(seed).random(shape) < 0.5
    expected = np.where(mask, weights.astype(np.float64), 0)
    drop_(weights, mask)
    np.testing.assert_array_equal(weights.astype(np.float64), expected)
    assert not np.signbit(weights.astype(np.float64)[~mask]).any()
