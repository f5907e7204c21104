"""Products and activations as they are defined, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special


def masked_product(x: np.ndarray, weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Multiply by the transpose, one row after another, and look at nothing that is left out."""
    wide_x, wide_weights = x.astype(np.float64), weights.astype(np.float64)
    result = np.zeros((*x.shape[:-1], len(weights)))
    for row, kept in enumerate(mask):
        result[..., row] = (wide_x[..., kept] * wide_weights[row, kept]).sum(axis=-1)
    return result


def _with_limits(function: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    """Return what a function tends to far below zero, where it would be infinity times zero."""
    return lambda x: np.where(np.isneginf(x), 0.0, function(x))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    # 1 + tanh(u) without cancellation.
    return x * special.expit(2 * u)


ACTIVATIONS: dict[str | None, Callable[[np.ndarray], np.ndarray]] = {
    None: lambda x: x,
    "relu": lambda x: np.where(x < 0, 0.0, x),
    "gelu": _with_limits(lambda x: x * special.ndtr(x)),
    "gelu_tanh": _with_limits(_gelu_tanh),
    "silu": _with_limits(lambda x: x * special.expit(x)),
}


def packed_bytes(rows: int, columns: int, kept: int, item: int) -> int:
    """Size of a buffer: header, where values begin, bits, values, room for loads beyond them."""
    blocks, windows = -(-columns // 64), -(-rows // 64)
    values = 64 + 8 * (blocks * windows + 1) + 8 * blocks * rows
    return -(-values // 64) * 64 + kept * item + 64
