"""Weights of many forms: layouts, dtypes, shapes and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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


def every_second_column(n: int, m: int, side: int) -> Array:
    size = whole(side // 2, m)
    return draw("normal", (size, 2 * size), n, m)[:, ::2]


def backwards(n: int, m: int, side: int) -> Array:
    return square(n, m, side)[::-1, ::-1]


def convolution(kernel: int) -> Weights:
    """Make weights (out, in, k, k) as the matrices (k, k, out, in)."""

    def make(n: int, m: int, side: int) -> Array:
        size = whole(side // max(2, kernel) // 2, m)
        return draw("normal", (size, size, kernel, kernel), n, m).transpose(2, 3, 0, 1)

    return make


def shaped(*shape: int | str) -> Weights:
    """Make an array of sizes; "m" stands for m, "side" for the side, "rest" for what fills up."""

    def make(n: int, m: int, side: int) -> Array:
        known = {"m": m, "side": whole(side, m)}
        sizes = [known.get(size, size) if isinstance(size, str) else size for size in shape]
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


def log_normal(n: int, m: int, side: int) -> Array:
    size = whole(side, m)
    drawn = np.random.default_rng(SEED).standard_normal((size, size), dtype=np.float32)
    return np.asarray(np.exp(3 * drawn), dtype=np.float32)
