"""Bias and activation in the last pass: accurate everywhere, with their limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import tnm_core as tnm
from tests.support.arrays import dtype_of, make_array
from tests.support.products.assertions import assert_product_close
from tests.support.products.cases import DTYPES, ProductCase, check_product, make_mask, pack_any
from tests.support.products.references import ACTIVATIONS

NAMED = [name for name in ACTIVATIONS if name is not None]
TOKENS = pytest.mark.parametrize("tokens", [1, 5, 23])


def _through_identity(points: NDArray[np.float32], activation: str | None) -> NDArray[np.float32]:
    packed = pack_any(np.eye(points.shape[-1], dtype=np.float32))
    return tnm.matmul(points, packed.T, activation=activation)


@pytest.mark.parametrize("activation", NAMED)
def test_whole_range(activation: str) -> None:
    """From the smallest denormal to the largest number, and densely around zero."""
    exponents = np.linspace(-149, 127.99, 5000)
    sides = np.concatenate([2.0**exponents, np.linspace(0, 100, 10001), np.linspace(0, 6, 1239)])
    points = np.concatenate([sides, -sides]).astype(np.float32).reshape(-1, 40)
    identity = np.eye(40, dtype=np.float32)
    got = _through_identity(points, activation)
    assert_product_close(got, points, identity, identity != 0, activation=activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@TOKENS
def test_limits(activation: str | None, tokens: int) -> None:
    """NaN stays, infinity stays, and what is far below zero is next to nothing."""
    points = np.tile(np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38, -1e30, 0]), (tokens, 1))
    # A token by itself is infinite or NaN in one of its products alone.
    got = np.stack([_through_identity(points[:, k : k + 1], activation) for k in range(7)])
    assert np.isnan(got[0]).all()
    assert np.isposinf(got[1]).all()
    assert (got[3] == np.float32(3e38)).all()
    if activation is None:
        np.testing.assert_array_equal(got[2:, 0, 0], points[0, 2:])
    else:
        assert (np.abs(got[[2, 4, 5, 6]]) < 1e-30).all()


@TOKENS
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_with_bias_of_every_dtype(activation: str | None, dtype: str, tokens: int) -> None:
    """Rows that end within a vector, on a window, and after one."""
    for rows in (1, 6, 64, 77):
        case = ProductCase(rows, 70, (tokens,), dtype, activation=activation)
        for bias in (None, "float32", "float16", "bfloat16", "float64", "int8"):
            check_product(replace(case, bias=bias))
            check_product(replace(case, bias=bias, backward=True, out_layout="sliced"))


@TOKENS
def test_bias_of_any_layout(tokens: int) -> None:
    weights, mask = make_array((45, 30)), make_mask("half", (45, 30))
    packed = tnm.pack(weights, mask)
    x, bias = make_array((tokens, 30), seed=1), make_array((1, 45), seed=2)[0]
    expected = tnm.matmul(x, packed.T, bias=bias)
    assert_product_close(expected, x, weights, mask, bias=bias)
    unaligned = make_array((1, 45), seed=2, layout="unaligned")[0]
    for other in (bias[::-1].copy()[::-1], np.repeat(bias, 3)[::3], unaligned, bias.tolist()):
        np.testing.assert_array_equal(tnm.matmul(x, packed.T, bias=other), expected)
    same = tnm.matmul(x, packed.T, bias=np.broadcast_to(bias[:1], 45))
    assert_product_close(same, x, weights, mask, bias=np.repeat(bias[:1], 45))


@TOKENS
@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_alone_where_nothing_is_kept(dtype: str, tokens: int) -> None:
    """Also where there is no column at all."""
    bias = make_array((1, 33), dtype)[0]
    for columns in (0, 1, 80):
        weights = np.zeros((33, columns), dtype=dtype_of(dtype))
        packed = tnm.pack(weights)
        x = make_array((tokens, columns), dtype)
        got = tnm.matmul(x, packed.T, bias=bias)
        np.testing.assert_array_equal(got, np.tile(bias, (tokens, 1)))
        assert_product_close(
            tnm.matmul(x, packed.T, bias=bias, activation="gelu"),
            x,
            weights,
            weights != 0,
            bias=bias,
            activation="gelu",
        )


@TOKENS
def test_bias_that_is_not_finite(tokens: int) -> None:
    weights = make_array((5, 20))
    x = make_array((tokens, 20), seed=1)
    bias = np.float32([np.nan, np.inf, -np.inf, 1e38, -0.0])
    for activation in ACTIVATIONS:
        got = tnm.matmul(x, pack_any(weights).T, bias=bias, activation=activation)
        mask = np.ones(weights.shape, dtype=bool)
        assert_product_close(got, x, weights, mask, bias=bias, activation=activation)


def test_relu_of_sums_around_zero() -> None:
    packed = tnm.pack(np.float32([[1, -1]]), [[True, False]])
    x = np.float32([[1e-45, 0], [-1e-45, 0], [0, 0], [-0.0, 0]])
    got = tnm.matmul(x, packed.T, activation="relu")
    np.testing.assert_array_equal(got[:, 0], np.float32([1e-45, 0, 0, 0]))
