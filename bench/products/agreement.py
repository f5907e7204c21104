"""Answers against products in float64."""

from __future__ import annotations

import numpy as np

from bench.products.problems import Array

CHECKED_TOKENS = 48
# Half a unit in the last place of what is written.
ROUNDING = {"float32": 2.0**-24, "bfloat16": 2.0**-9}


def disagreement(
    answer: Array, inputs: Array, weights: Array, dtype: str
) -> dict[str, object] | None:
    """Compare some tokens of inputs @ weights.T; say what is wrong, None if nothing is.

    A sum of K products in float32, in any order, is off by at most K / 2^24 of the sum of their
    magnitudes, to first order; twice that is allowed, and a unit in the last place of the answer.
    """
    expected = (len(inputs), len(weights))
    if answer.shape != expected:
        return {"shape": list(answer.shape), "expected": list(expected)}
    some = slice(None, None, max(1, len(inputs) // CHECKED_TOKENS))
    left, right = inputs[some].astype(np.float64), weights.astype(np.float64)
    exact = left @ right.T
    sums = np.abs(left) @ np.abs(right).T
    allowed = 2 * weights.shape[1] * 2.0**-24 * sums + 2 * ROUNDING[dtype] * np.abs(exact)
    error = np.abs(answer[some].astype(np.float64) - exact)
    wrong = ~(error <= allowed)
    if not wrong.any():
        return None
    excess = np.where(wrong, error - allowed, -1.0)
    worst = np.unravel_index(np.argmax(np.nan_to_num(excess, nan=np.inf)), error.shape)
    return {
        "entries": int(wrong.sum()),
        "of": int(wrong.size),
        "worst_error": float(error[worst]),
        "allowed": float(allowed[worst]),
    }
