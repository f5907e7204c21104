"""Weights of many forms: layouts, dtypes, shapes and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tnm_core as tnm
from bench.distributions import SEED, cast, draw
from bench.surface.case import Array, whole

Weights = Callable[[int, int, int], Array]


def square(n: int, m: int, side: int) -> Array:
    """Normal float32 in C order: the headline."""
    size = whole(side, m)
    return draw("normal", (size, size), n, m)


def of_dtype(dtype: str) -> Weights:
    return lambda n, m, side: cast(square(n, m, side), dtype)


def fortran(dtype: str = "float32") -> Weights:
    return lambda n, m, side: np.asfortranarray(cast(square(n, m, side), dtype))


def every_second_column(dtype: str = "float32") -> Weights:
    def make(n: int, m: int, side: int) -> Array:
        size = whole(side // 2, m)
        return cast(draw("normal", (size, 2 * size), n, m), dtype)[:, ::2]

    return make


def every_second_row(n: int, m: int, side: int) -> Array:
    size = whole(side // 2, m)
    return draw("normal", (2 * size, size), n, m)[::2]


def backwards(n: int, m: int, side: int) -> Array:
    return square(n, m, side)[::-1, ::-1]


def window(n: int, m: int, side: int) -> Array:
    """Cut out a part that begins nowhere in particular."""
    size = whole(side, m)
    return draw("normal", (size + 3, size + 5), n, m)[2 : size + 2, 3 : size + 3]


def big_endian(n: int, m: int, side: int) -> Array:
    return square(n, m, side).astype(">f4")


def batch_of_transposed(n: int, m: int, side: int) -> Array:
    """Make attention heads as their transposes: the last two axes changed places."""
    return draw("normal", (max(1, side * side // 128**2), 128, 128), n, m).swapaxes(-1, -2)


def enlarged(times: int) -> Weights:
    """Lay the square out several times each way."""
    return lambda n, m, side: np.tile(square(n, m, side), (times, times))


def convolution(kernel: int, groups: int = 1) -> Weights:
    """Make weights (out, in / groups, k, k) as the matrices (k, k, out, in / groups)."""

    def make(n: int, m: int, side: int) -> Array:
        size = whole(side // max(2, kernel) // 2, m)
        weights = draw("normal", (size, whole(size // groups, m), kernel, kernel), n, m)
        return weights.transpose(2, 3, 0, 1)

    return make


def channels_last(n: int, m: int, side: int) -> Array:
    """Make weights (out, 3, 3, in) as the matrices (3, 3, out, in)."""
    size = whole(side // 6, m)
    return draw("normal", (size, 3, 3, size), n, m).transpose(1, 2, 0, 3)


def flattened(n: int, m: int, side: int) -> Array:
    """Make weights (out, in, 3, 3) as the matrix (out, in 9)."""
    size = whole(side // 6, m)
    return draw("normal", (size, size, 3, 3), n, m).reshape(size, -1)


def shaped(*shape: int | str) -> Weights:
    """Make an array of sizes; "m" stands for m, "rest" for what fills up."""

    def make(n: int, m: int, side: int) -> Array:
        sizes = [m if size == "m" else size for size in shape]
        product = 1
        for size in sizes:
            product *= size if isinstance(size, int) else 1
        filled = [max(1, side * side // 4 // product) if size == "rest" else size for size in sizes]
        return draw("normal", tuple(int(size) for size in filled), n, m)

    return make


def of_kind(distribution: str) -> Weights:
    def make(n: int, m: int, side: int) -> Array:
        size = whole(side, m)
        return draw(distribution, (size, size), n, m)

    return make


def pruned_before(n: int, m: int, side: int) -> Array:
    """Make weights that obey the pattern already."""
    weights = square(n, m, side)
    return np.where(tnm.transposable_mask(weights, n, m), weights, np.float32(0))


def smallest_zero(share: float) -> Weights:
    """Magnitude pruning went before: the smallest weights are zero."""

    def make(n: int, m: int, side: int) -> Array:
        weights = square(n, m, side).copy()
        magnitudes = np.abs(weights)
        weights[magnitudes <= np.quantile(magnitudes[: min(len(weights), 512)], share)] = 0
        return weights

    return make


def changed(change: Callable[[Array], Any]) -> Weights:
    """Normal weights, changed entry by entry."""
    return lambda n, m, side: np.asarray(change(square(n, m, side)), dtype=np.float32)


def with_outliers(n: int, m: int, side: int) -> Array:
    weights = square(n, m, side).copy()
    weights[np.random.default_rng(SEED).random(weights.shape, dtype=np.float32) < 1e-3] *= 1e6
    return weights


def log_normal(n: int, m: int, side: int) -> Array:
    size = whole(side, m)
    drawn = np.random.default_rng(SEED).standard_normal((size, size), dtype=np.float32)
    return np.asarray(np.exp(3 * drawn), dtype=np.float32)
