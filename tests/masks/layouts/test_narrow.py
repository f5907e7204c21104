"""Matrices too narrow to fill a strip: the same masks as those of tiles alone."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

import tnm_core as tnm
from tests.support.assertions import assert_solved

SHAPES = [(37, 4, 4), (5, 8, 8), (3, 2, 20, 12), (100, 16), (101, 17), (9, 33, 36), (3, 66, 66)]
PATTERNS = [(2, 4), (4, 8), (3, 7), (8, 16), (32, 64)]
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.int32]


def _one_by_one(weights: NDArray[Any], n: int, m: int) -> NDArray[np.bool_]:
    """Hand over every tile by itself, as contiguous float64."""
    mask = np.zeros(weights.shape, dtype=bool)
    for plane in np.ndindex(weights.shape[:-2]):
        for i in range(0, weights.shape[-2], m):
            for j in range(0, weights.shape[-1], m):
                tile = (*plane, slice(i, i + m), slice(j, j + m))
                mask[tile] = tnm.transposable_mask(weights[tile].astype(np.float64), n, m)
    return mask


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_and_threads(shape: tuple[int, ...], dtype: Any) -> None:
    drawn = (20 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    for n, m in PATTERNS:
        for weights in (drawn, np.moveaxis(drawn, -1, -2), drawn[..., ::-1]):
            expected = _one_by_one(weights, n, m)
            for threads in (1, 2):
                out = np.ones(weights.shape, dtype=bool, order="F")
                tnm.transposable_mask(weights, n, m, threads=threads, out=out)
                np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_proofs_belong_to_their_tiles(shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    for n, m in PATTERNS:
        mask, proof = tnm.transposable_mask(weights, n, m, return_certificate=True)
        proof.verify(weights, mask)
        np.testing.assert_array_equal(assert_solved(weights, n, m, oracle=None), mask)


@pytest.mark.parametrize("shape", SHAPES)
def test_row_wise(shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    for n, m in PATTERNS:
        groups = [weights[..., j : j + m].copy() for j in range(0, shape[-1], m)]
        expected = np.concatenate([tnm.nm_mask(group, n, m) for group in groups], axis=-1)
        np.testing.assert_array_equal(tnm.nm_mask(weights, n, m), expected)
