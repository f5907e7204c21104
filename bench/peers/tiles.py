"""Samples of tiles that peers and tnm_core solve, and the comparison of their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench.distributions import draw

Masks = NDArray[np.bool_]

# Scores are rounded to this grid, so that solvers of integers, of doubles and of linear programs
# get the very same numbers and their answers can be compared exactly.
GRID = 2.0**20

# Fine enough for every bit of a float32 of ordinary size.
FINE_GRID = 2.0**40


@dataclass(frozen=True)
class TileSample:
    """Tiles of one pattern: `integers` of shape (tiles, m, m), non-negative."""

    integers: NDArray[np.int64]
    n: int
    distribution: str
    grid: float = GRID

    @property
    def m(self) -> int:
        return int(self.integers.shape[-1])

    @property
    def tiles(self) -> int:
        return int(self.integers.shape[0])

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        return self.integers / self.grid

    @cached_property
    def wide(self) -> NDArray[np.float32]:
        """Hold the tiles side by side in one matrix, as weights come; the grid fits float32."""
        scores = self.scores.transpose(1, 0, 2).reshape(self.m, -1)
        wide: NDArray[np.float32] = scores.astype(np.float32)
        assert (wide == scores).all()
        return wide

    def from_wide(self, masks: Masks) -> Masks:
        tiles: Masks = masks.reshape(self.m, self.tiles, self.m).transpose(1, 0, 2)
        return tiles

    @cached_property
    def optimum(self) -> NDArray[np.int64]:
        """The score of tnm_core's mask per tile."""
        masks = self.from_wide(tnm.transposable_mask(self.wide, self.n, self.m, threads=1))
        require_pattern(masks, self.n, exactly=True)
        return self.kept(masks)

    @cached_property
    def loosest(self) -> NDArray[np.int64]:
        """The score per tile of the best mask that keeps *at most* n.

        It can be higher than the optimum: a mask with gaps need not fit into one that is full. The
        pattern n:(m + 1) makes each tile an edge tile, and those keep at most n.
        """
        masks = tnm.transposable_mask(self.scores, self.n, self.m + 1, threads=1)
        require_pattern(masks, self.n, exactly=False)
        return self.kept(masks)

    def part(self, start: int, stop: int) -> TileSample:
        return replace(self, integers=self.integers[start:stop])

    def kept(self, masks: Masks) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = np.where(masks, self.integers[: len(masks)], 0).sum(axis=(1, 2))
        return chosen


def sample(distribution: str, n: int, m: int, entries: int, grid: float = GRID) -> TileSample:
    tiles = max(1, entries // (m * m))
    weights = np.abs(draw(distribution, (tiles, m, m), n, m)).astype(np.float64)
    return TileSample(np.rint(weights * grid).astype(np.int64), n, distribution, grid)


def require_pattern(masks: Masks, n: int, *, exactly: bool) -> None:
    """Every row and column keeps n, or at most n."""
    for axis in (1, 2):
        counts = masks.sum(axis=axis)
        if (counts > n).any() or (exactly and (counts < n).any()):
            seen = f"{counts.min()}..{counts.max()}"
            raise AssertionError(f"a mask keeps {seen} entries along axis {axis}, expected {n}")
