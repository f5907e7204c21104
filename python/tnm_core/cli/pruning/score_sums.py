"""What scores of weights add up to: all of them, and those that masks keep.

NumPy's sums by `where=` go entry by entry, which takes several times as long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.arguments import Score

_PIECE = 1 << 14  # entries, so that what is made of them stays in the cache


@dataclass
class ScoreSums:
    """Sums in float64: of all scores, and of those that each mask keeps.

    Attributes
    ----------
    largest : float
        The largest magnitude of a weight.
    total : float
        Of all scores; infinite if they are too large together.
    kept : dict of str to float
        By the names of the masks.
    """

    largest: float
    total: float
    kept: dict[str, float]

    @classmethod
    def of(
        cls, weights: NDArray[Any], masks: Mapping[str, NDArray[np.bool_]], score: Score
    ) -> ScoreSums:
        """Add up, piece by piece in C order, whatever order memory has."""
        sums = cls(0.0, 0.0, dict.fromkeys(masks, 0.0))
        flat = np.ravel(weights)
        kept = [np.ravel(mask) for mask in masks.values()]
        # Squares, and sums of float64 weights near its limit, may be infinite.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, flat.size, _PIECE):
                piece = slice(start, start + _PIECE)
                values = np.abs(flat[piece].astype(np.float64))
                sums._add(values, [mask[piece] for mask in kept], score)
        return sums

    def _add(self, values: NDArray[Any], kept: list[NDArray[np.bool_]], score: Score) -> None:
        self.largest = max(self.largest, float(values.max(initial=0.0)))
        scores = np.square(values) if score == "square" else values
        self.total += float(scores.sum())
        for name, mask in zip(self.kept, kept, strict=True):
            self.kept[name] += _sum_of_kept(scores, mask)


def _sum_of_kept(scores: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    found = float((scores * mask).sum())
    # What is dropped may be infinite, and makes that no number.
    return found if math.isfinite(found) else float(scores.sum(where=mask))
