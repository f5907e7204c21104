"""The one assertion helper that every product has to pass, and its bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

import tnm_core as tnm
from tests.support.products.references import ACTIVATIONS, masked_product

# Products of bfloat16 by the instruction for that take denormals for zeros.
FLUSHING = tnm.build_info()["instruction_set"] == "avx512_bf16"
SMALLEST_NORMAL = 2.0**-126
UNIT = 2.0**-24  # half a unit in the last place of a float32 next to 1
STEEPEST = 1.13  # slope of an activation
LARGEST = float(np.finfo(np.float32).max)


def sum_bound(x: np.ndarray, weights: np.ndarray, mask: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """How far a sum in float32 may be off, in whatever order it is taken.

    For every dtype: each of the k products, whether rounded by itself or not, goes through k
    additions at most, one for the bias, which is rounded itself. So a result is off by at most
    (k + 3) 2**-24 (sum of magnitudes), and by half the smallest denormal for each product.
    With AVX512_BF16, whatever is denormal may count as zero: factors, and each of k sums.
    """
    kept = mask.sum(axis=1)
    magnitudes = masked_product(np.abs(x), np.abs(weights), mask) + np.abs(bias)
    # Sums that overflow half-way are another test's subject.
    assert not (np.isfinite(magnitudes) & (magnitudes > LARGEST)).any()
    bound = 1.001 * (kept + 3) * UNIT * magnitudes + kept * 2.0**-149
    if FLUSHING and x.dtype.name == "bfloat16":
        large = masked_product(_without_denormals(x), _without_denormals(weights), mask)
        bound += magnitudes - np.abs(bias) - large + kept * SMALLEST_NORMAL
    return np.asarray(bound)


def _without_denormals(values: np.ndarray) -> np.ndarray:
    magnitudes = np.abs(values.astype(np.float64))
    return np.where(magnitudes < SMALLEST_NORMAL, 0.0, magnitudes)


def activation_bound(activation: str | None, sums: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """How far an activation of such a sum may be off.

    The slope is 1.13 at most; the functions by themselves are off by 8 units in the last place,
    and by 1.5e-7 of the sum, up to a sum of 6, where the error function comes in.
    """
    if activation in (None, "relu"):
        return bound
    exact = np.abs(ACTIVATIONS[activation](sums))
    return STEEPEST * bound + 16 * UNIT * exact + 1e-7 * np.minimum(np.abs(sums), 6) + 1e-36


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return values.astype(np.float32).astype(dtype).astype(np.float64)


def assert_product_close(
    got: np.ndarray,
    x: np.ndarray,
    weights: np.ndarray,
    mask: np.ndarray,
    bias: ArrayLike | None = None,
    activation: str | None = None,
) -> None:
    """Compare with ``activation(x @ (weights * mask).T + bias)`` in float64.

    A result lies between the roundings, to its dtype, of what the bounds of `sum_bound` and
    `activation_bound` leave: overflow to infinity and denormals follow from that. NaN and infinity
    come where float64 has them.
    """
    offsets = np.zeros(len(weights)) if bias is None else np.asarray(bias).astype(np.float64)
    with np.errstate(all="ignore"):
        sums = masked_product(x, weights, mask) + offsets
        bound = sum_bound(x, weights, mask, offsets)
        exact = ACTIVATIONS[activation](sums)
        bound = activation_bound(activation, sums, bound)
        finite = np.isfinite(sums)
        low, high = _rounded(exact - bound, got.dtype), _rounded(exact + bound, got.dtype)
        values = got.astype(np.float64)
        fits = np.where(finite, (low <= values) & (values <= high), values == exact)
        if activation not in (None, "relu"):
            # Far below zero they tend to zero.
            fits |= np.isneginf(sums) & (np.abs(values) < 1e-35)
        fits |= np.isnan(exact) & np.isnan(values)
    assert got.shape == (*x.shape[:-1], len(weights))
    if not fits.all():
        worst = tuple(int(i) for i in np.argwhere(~fits)[0])
        raise AssertionError(
            f"{(~fits).sum()} of {fits.size} entries are off, the first at {worst}: "
            f"got {values[worst]!r}, expected {exact[worst]!r} within {bound[worst]!r}"
        )
