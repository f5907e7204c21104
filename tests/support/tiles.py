"""Scores and tiles of a matrix, written as plainly as possible."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tile:
    """Where one tile lies: its batch index, its tile coordinates and its extent."""

    batch: tuple[int, ...]
    row: int
    column: int
    rows: slice
    columns: slice
    full: bool

    @property
    def region(self) -> tuple[int | slice, ...]:
        """Index of the tile's entries in the whole array."""
        return (*self.batch, self.rows, self.columns)

    @property
    def where(self) -> tuple[int, ...]:
        """Index of the tile in per-tile arrays such as a certificate's."""
        return (*self.batch, self.row, self.column)


def tiles(shape: tuple[int, ...], m: int) -> Iterator[Tile]:
    """Walk the tiles of a batch of matrices in C order."""
    *batch_shape, height, width = shape
    grid = itertools.product(range(0, height, m), range(0, width, m))
    corners = list(grid)
    for batch in np.ndindex(*batch_shape):
        for top, left in corners:
            bottom, right = min(top + m, height), min(left + m, width)
            yield Tile(
                batch=batch,
                row=top // m,
                column=left // m,
                rows=slice(top, bottom),
                columns=slice(left, right),
                full=bottom - top == m and right - left == m,
            )


def tile_grid(shape: tuple[int, ...], m: int) -> tuple[int, ...]:
    """Shape of a per-tile array: batch axes, tile rows, tile columns."""
    *batch, height, width = shape
    return (*batch, -(-height // m), -(-width // m))


def scores_of(array: np.ndarray, score: str = "abs") -> np.ndarray:
    """Give the float64 score of every entry."""
    values = np.asarray(array).astype(np.float64)
    if score == "identity":
        return values
    return np.abs(values) if score == "abs" else values * values


def exponent_of(scores: np.ndarray) -> int:
    """Binary exponent of the largest magnitude (0 for an empty or all-zero tile)."""
    peak = float(np.abs(scores).max()) if scores.size else 0.0
    return math.frexp(peak)[1] if peak else 0


def normalised(scores: np.ndarray) -> np.ndarray:
    """Scale by a power of two so that the largest magnitude lies in [0.5, 1).

    Exact except for entries 300 decades below the largest, so denormal and
    near-overflow tiles can be given to solvers with absolute tolerances.
    """
    return np.ldexp(scores, -exponent_of(scores))


def kept_score(scores: np.ndarray, mask: np.ndarray) -> float:
    """Sum of the kept scores, correctly rounded."""
    return math.fsum(scores[mask].tolist())
