"""Weights to solve: the ordinary, the tied, and the hard. Fixed seed, float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
Shape = tuple[int, ...]
Maker = Callable[[np.random.Generator, Shape, float], Weights]

SEED = 20210215


def _normal(rng: np.random.Generator, shape: Shape, _: float) -> Weights:
    return rng.standard_normal(shape, dtype=np.float32)


def _student(rng: np.random.Generator, shape: Shape, _: float) -> Weights:
    return rng.standard_t(2.5, shape).astype(np.float32)


def _zeros_70(rng: np.random.Generator, shape: Shape, _: float) -> Weights:
    return _thinned(rng, shape, 0.3)


def _binary(rng: np.random.Generator, shape: Shape, _: float) -> Weights:
    return rng.integers(0, 2, shape, dtype=np.int8).astype(np.float32)


def _integers(rng: np.random.Generator, shape: Shape, _: float) -> Weights:
    return rng.integers(0, 8, shape, dtype=np.int8).astype(np.float32)


def _constant(rng: np.random.Generator, shape: Shape, _: float) -> Weights:
    return np.ones(shape, dtype=np.float32)


def _zero_inflated(rng: np.random.Generator, shape: Shape, density: float) -> Weights:
    """Draw non-zeros just above the density that is kept: a mask of them exists, hard to find."""
    return _thinned(rng, shape, min(1.0, density + 0.02))


def _decades_12(rng: np.random.Generator, shape: Shape, _: float) -> Weights:
    return (10.0 ** rng.uniform(-6, 6, shape)).astype(np.float32)


def _thinned(rng: np.random.Generator, shape: Shape, density: float) -> Weights:
    weights = rng.standard_normal(shape, dtype=np.float32)
    weights[rng.random(shape, dtype=np.float32) >= density] = 0
    return weights


DISTRIBUTIONS: dict[str, tuple[str, Maker]] = {
    "normal": ("normal", _normal),
    "student": ("Student t, 2.5 degrees of freedom", _student),
    "decades": ("12 decades, log-uniform", _decades_12),
    "integers": ("integers 0..7", _integers),
    "zeros": ("70 % zeros, rest normal", _zeros_70),
    "binary": ("binary", _binary),
    "constant": ("constant", _constant),
    "inflated": ("zero-inflated, density n/m + 0.02", _zero_inflated),
}


def title(name: str) -> str:
    return DISTRIBUTIONS[name][0]


def draw(name: str, shape: Shape, n: int, m: int) -> Weights:
    """Weights of a distribution; n and m matter only to the one that depends on density."""
    return _draw(name, shape, n / m if name == "inflated" else 0.0)


@lru_cache(maxsize=3)
def _draw(name: str, shape: Shape, density: float) -> Weights:
    weights = DISTRIBUTIONS[name][1](np.random.default_rng(SEED), shape, density)
    weights.flags.writeable = False
    return weights


# Integer steps to one standard deviation.
_STEPS = {8: 32, 16: 2**13, 32: 2**20, 64: 2**20}


def cast(weights: Weights, dtype: str) -> NDArray[Any]:
    """As another dtype. Integers of 8 bits tie often; bool says what is positive."""
    if dtype == "bfloat16":
        return weights.astype(ml_dtypes.bfloat16)
    target = np.dtype(dtype)
    if target.kind == "b":
        return weights > 0
    if target.kind not in "iu":
        return weights.astype(target, copy=False)
    steps = _STEPS[8 * target.itemsize]
    scaled = np.rint((np.abs(weights) if target.kind == "u" else weights) * steps)
    largest = min(np.iinfo(target).max, 2**30)
    return np.clip(scaled, -largest if target.kind == "i" else 0, largest).astype(target)
