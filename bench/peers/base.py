"""What a peer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.peers.tiles import Masks, TileSample


@dataclass(frozen=True)
class Peer:
    """A way to solve tiles.

    `exact` peers must reach the optimum; `fills` says that every row and column keeps exactly n.
    `open` does what is needed once (imports, compiling) and gives the function that is timed.
    """

    name: str
    open: Callable[[], Callable[[TileSample], Masks]]
    exact: bool
    fills: bool
    language: str
    largest_m: int = 64


def one_by_one(solve: Callable[[TileSample, int], Masks]) -> Callable[[TileSample], Masks]:
    """Solve every tile on its own."""

    def solve_all(tiles: TileSample) -> Masks:
        return np.stack([solve(tiles, index) for index in range(tiles.tiles)])

    return solve_all


def in_blocks(solve: Callable[[TileSample], Masks], entries: int) -> Callable[[TileSample], Masks]:
    """Solve batches of about so many entries, a size that suits caches."""

    def solve_all(tiles: TileSample) -> Masks:
        step = max(1, entries // (tiles.m * tiles.m))
        starts = range(0, tiles.tiles, step)
        return np.concatenate([solve(tiles.part(start, start + step)) for start in starts])

    return solve_all
