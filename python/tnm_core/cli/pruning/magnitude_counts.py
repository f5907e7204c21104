"""How often each magnitude of 16 bits occurs: what unstructured pruning keeps, from one look."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.arguments import Score

_PIECE = 1 << 20  # entries
_MAGNITUDES = 1 << 15


class MagnitudeCounts:
    """Counts of the magnitudes of float16 or bfloat16 entries, which any parts may add up to.

    They are whole numbers, so that neither the order of parts nor who counted them matters.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the entries.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype.newbyteorder("=")
        self._counts = np.zeros(_MAGNITUDES, dtype=np.int64)

    @staticmethod
    def can_count(dtype: np.dtype[Any] | None) -> bool:
        """Whether entries have few enough magnitudes."""
        return dtype is not None and dtype.itemsize == 2

    def add(self, block: NDArray[Any]) -> None:
        """Count finite entries."""
        flat = block.ravel(order="K")
        for start in range(0, flat.size, _PIECE):
            piece = flat[start : start + _PIECE].astype(self._dtype, copy=False)
            keys = piece.view(np.uint16) & np.uint16(_MAGNITUDES - 1)
            self._counts += np.bincount(keys, minlength=_MAGNITUDES)

    @property
    def found(self) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        """Magnitudes that occur, as their bits, and how often."""
        occurring = np.flatnonzero(self._counts)
        return occurring.astype(np.uint16), self._counts[occurring]

    def add_found(self, magnitudes: NDArray[np.uint16], counts: NDArray[np.int64]) -> None:
        """Add what another one has `found`."""
        self._counts[magnitudes] += counts

    def score(self, kept: int, score: Score) -> float:
        """Add up the largest magnitudes, so many of them, exactly but for the last rounding."""
        bits, counts = self.found
        worth = bits.view(self._dtype).astype(np.float64)[::-1]
        if score == "square":
            worth = np.square(worth)
        before = np.cumsum(counts[::-1]) - counts[::-1]
        taken = np.clip(kept - before, 0, counts[::-1])
        return math.fsum((worth * taken).tolist())
