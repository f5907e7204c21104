"""The 2-approximation of Hubara et al., as published: among the top n of its row and its column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.peers.base import Peer, in_blocks
from bench.peers.tiles import Masks, TileSample

ENTRIES_PER_BATCH = 1 << 17


def _top(scores: np.ndarray, n: int, axis: int) -> Masks:
    order = np.argsort(-scores, axis=axis, kind="stable")
    top = np.take(order, range(n), axis=axis)
    masks = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(masks, top, True, axis=axis)
    return masks


def _open() -> Callable[[TileSample], Masks]:
    def solve(tiles: TileSample) -> Masks:
        return _top(tiles.scores, tiles.n, 2) & _top(tiles.scores, tiles.n, 1)

    return in_blocks(solve, ENTRIES_PER_BATCH)


PEERS = (Peer("2-approximation, NumPy", _open, exact=False, fills=False, language="NumPy"),)
