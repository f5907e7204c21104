"""NaN, infinity, zeros with a sign, denormals, and numbers near the largest."""

from __future__ import annotations

import numpy as np
import pytest

import tnm_core as tnm
from tests.support.arrays import dtype_of, make_array
from tests.support.products.assertions import assert_product_close
from tests.support.products.cases import DTYPES, make_mask, pack_any

TOKENS = pytest.mark.parametrize("tokens", [1, 3, 8, 9, 40, 100])
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)
NOT_FINITE = (np.nan, np.inf, -np.inf)


@TOKENS
@EVERY_DTYPE
@pytest.mark.parametrize("value", NOT_FINITE)
def test_dropped_columns_contribute_nothing(value: float, dtype: str, tokens: int) -> None:
    """The products are those of zeros in the same places, bit for bit with many tokens."""
    weights, mask = make_array((40, 150), dtype), make_mask("half", (40, 150))
    dropped = [0, 5, 63, 64, 100, 149]
    mask[:, dropped] = False
    packed = tnm.pack(weights, mask)
    x = make_array((tokens, 150), dtype, seed=1)
    x[:, dropped] = 0
    expected = x @ packed.T
    spoilt = x.copy()
    spoilt[:, dropped] = value
    assert_product_close(spoilt @ packed.T, spoilt, weights, mask)
    spoilt = x.copy()
    # Where one token alone holds such a number, its neighbours are right, too.
    spoilt[-1, dropped] = value
    got = spoilt @ packed.T
    assert np.isfinite(got.astype(np.float32)).all()
    assert_product_close(got, x, weights, mask)
    if tokens > 9:
        assert got.tobytes() == expected.tobytes()


@TOKENS
@EVERY_DTYPE
@pytest.mark.parametrize("value", NOT_FINITE)
def test_dropped_in_some_rows(value: float, dtype: str, tokens: int) -> None:
    """Rows that keep the column give NaN or infinity, and no other row does."""
    weights, mask = make_array((70, 130), dtype, "ties"), make_mask("half", (70, 130))
    packed = tnm.pack(weights, mask)
    for column in (0, 63, 64, 129):
        x = make_array((tokens, 130), dtype, seed=1)
        x[tokens // 2, column] = value
        got = x @ packed.T
        assert_product_close(got, x, weights, mask)
        finite = np.isfinite(got.astype(np.float32))
        np.testing.assert_array_equal(finite[tokens // 2], ~mask[:, column])
        assert finite.sum() == finite.size - mask[:, column].sum()


@TOKENS
@EVERY_DTYPE
@pytest.mark.parametrize("value", NOT_FINITE)
def test_kept_weights(value: float, dtype: str, tokens: int) -> None:
    """They are kept as they are, spoil their row alone, and come back from toarray()."""
    weights, mask = make_array((70, 90), dtype), make_mask("half", (70, 90))
    weights[[3, 64, 69], [2, 63, 89]] = value
    mask[[3, 64, 69], [2, 63, 89]] = True
    weights[10, 11], mask[10, 11] = value, False
    packed = tnm.pack(weights, mask)
    x = make_array((tokens, 90), dtype, seed=1)
    x[0, 2] = 0
    got = x @ packed.T
    assert_product_close(got, x, weights, mask)
    assert np.isnan(got[0, 3].astype(np.float32))
    spoilt = ~np.isfinite(got.astype(np.float32))
    np.testing.assert_array_equal(spoilt.all(axis=0), np.isin(np.arange(70), [3, 64, 69]))
    assert spoilt.sum() == 3 * tokens
    kept = packed.toarray()[[3, 64, 69], [2, 63, 89]].astype(np.float32)
    np.testing.assert_array_equal(kept, np.float32([value] * 3))
    y = make_array((tokens, 70), dtype, seed=2)
    assert_product_close(y @ packed, y, weights.T, mask.T)


def test_infinity_minus_infinity() -> None:
    packed = tnm.pack(np.float32([[np.inf, -np.inf, 0], [np.inf, 0, 0], [0, -np.inf, 1]]))
    for tokens in (1, 30):
        got = np.ones((tokens, 3), dtype=np.float32) @ packed.T
        np.testing.assert_array_equal(
            got, np.tile(np.float32([np.nan, np.inf, -np.inf]), (tokens, 1))
        )


@EVERY_DTYPE
def test_bits_of_kept_values_survive(dtype: str) -> None:
    """Zeros with a sign, denormals, and NaN with whatever it carries."""
    bits = np.uint32 if dtype == "float32" else np.uint16
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, np.iinfo(bits).max, size=(66, 131), dtype=bits, endpoint=True)
    patterns[0, :4] = [1 << (np.iinfo(bits).bits - 1), 1, np.iinfo(bits).max, 0]
    weights, mask = patterns.view(dtype_of(dtype)), make_mask("half", (66, 131))
    mask[0, :4] = True
    packed = tnm.pack(weights, mask)
    np.testing.assert_array_equal(packed.toarray().view(bits), np.where(mask, patterns, 0))
    np.testing.assert_array_equal(packed.mask, mask)


def test_zeros_with_a_sign_are_zeros() -> None:
    assert tnm.pack(np.float32([[-0.0, 0.0, 1e-45, np.nan]])[:, :3]).nnz == 1
    weights = np.float32([[-0.0, -0.0, 0, 0]])
    packed = tnm.pack(weights, [[1, 0, 1, 0]])
    assert packed.nnz == 2
    np.testing.assert_array_equal(np.signbit(packed.toarray()), [[True, False, False, False]])
    for tokens in (1, 20):
        x = np.float32([[-1, 1, -0.0, 0]] * tokens)
        np.testing.assert_array_equal(x @ packed.T, np.zeros((tokens, 1)))


@TOKENS
def test_overflow_is_infinite(tokens: int) -> None:
    """As in float32, and in the conversion to 16 bits."""
    mask = np.tile([True, False], 30)[np.newaxis]
    for dtype, size in [("float32", 1e38), ("bfloat16", 1e38), ("float16", 6e4)]:
        x = np.full((tokens, 60), 1, dtype=dtype_of(dtype))
        weights = np.full((1, 60), size, dtype=dtype_of(dtype))
        assert np.isposinf((x @ tnm.pack(weights, mask).T).astype(float)).all()
        assert np.isneginf((-x @ tnm.pack(weights, mask).T).astype(float)).all()


@TOKENS
@EVERY_DTYPE
def test_near_the_largest_and_the_smallest(dtype: str, tokens: int) -> None:
    """One product of every size, alone and among others that are far smaller."""
    most = 65504.0 if dtype == "float16" else 3.38e38
    least = 2.0**-24 if dtype == "float16" else 2.0**-133
    for large, small in [(most, 1.0), (most / 4, least), (1.0, least), (least * 64, 0.25)]:
        weights = make_array((20, 70), dtype, "ties") * 0 + large
        weights = weights.astype(dtype_of(dtype))
        mask = np.eye(20, 70, dtype=bool)
        x = np.full((tokens, 70), small, dtype=weights.dtype)
        assert_product_close(x @ tnm.pack(weights, mask).T, x, weights, mask)
        mixed = make_array((20, 70), dtype, "denormal")
        mixed[np.eye(20, 70, dtype=bool)] = large
        full = np.ones(mixed.shape, dtype=bool)
        assert_product_close(x @ pack_any(mixed, full).T, x, mixed, full)
