"""Masks of every kind that is measured, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench.products.problems import Array

# N:M alone is transposable; a percentage is the share of entries that an unstructured mask drops.
PATTERNS = ("2:4", "4:8", "16:32", "1:4", "1:8", "row 2:4", "50 %", "75 %", "90 %")


def mask_of(pattern: str, weights: Array) -> NDArray[np.bool_]:
    """Find the best mask of a pattern for the magnitudes of weights."""
    magnitudes = np.abs(weights.astype(np.float32))
    if pattern.endswith("%"):
        return _largest(magnitudes, float(pattern.removesuffix("%")) / 100)
    if pattern.startswith("row"):
        return tnm.nm_mask(magnitudes, pattern)
    return tnm.transposable_mask(magnitudes, pattern)


def title(pattern: str) -> str:
    if pattern.endswith("%"):
        return f"unstructured, {pattern} zeros"
    return f"{pattern}, row-wise".removeprefix("row ") if pattern.startswith("row") else pattern


def _largest(magnitudes: Array, dropped: float) -> NDArray[np.bool_]:
    count = round(dropped * magnitudes.size)
    mask = np.ones(magnitudes.size, dtype=np.bool_)
    mask[np.argpartition(magnitudes, count, axis=None)[:count]] = False
    return mask.reshape(magnitudes.shape)
