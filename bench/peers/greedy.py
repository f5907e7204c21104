"""Descending greedy in NumPy, over all tiles at once, and the 4x4 tile kernel in torch's style."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers.base import Peer, in_blocks
from bench.peers.tiles import Masks, TileSample

ENTRIES_PER_BATCH = 1 << 19


def keep_descending(ranking: NDArray[Any], n: int) -> Masks:
    """Keep from the highest rank downwards while row and column have room.

    Rows and columns may end up with fewer than n.
    """
    tiles, m, _ = ranking.shape
    order = np.argsort(-ranking.reshape(tiles, m * m), axis=1, kind="stable")
    rows, columns = np.divmod(np.ascontiguousarray(order.T), m)
    every = np.arange(tiles)
    in_row = np.zeros((m, tiles), dtype=np.int8)
    in_column = np.zeros((m, tiles), dtype=np.int8)
    masks = np.zeros((m, m, tiles), dtype=np.bool_)
    for row, column in zip(rows, columns, strict=True):
        room = (in_row[row, every] < n) & (in_column[column, every] < n)
        in_row[row, every] += room
        in_column[column, every] += room
        masks[row, column, every] = room
    return np.ascontiguousarray(masks.transpose(2, 0, 1))


def _open() -> Callable[[TileSample], Masks]:
    return in_blocks(lambda tiles: keep_descending(tiles.scores, tiles.n), ENTRIES_PER_BATCH)


def _open_tile_kernel() -> Callable[[TileSample], Masks]:
    """Rank by magnitude in float32, as `largest_abs_values_greedy` does on a GPU's 4x4 tile."""
    return in_blocks(
        lambda tiles: keep_descending(tiles.scores.astype(np.float32), tiles.n), ENTRIES_PER_BATCH
    )


PEERS = (
    Peer("descending greedy, NumPy", _open, exact=False, fills=False, language="NumPy"),
    Peer(
        "4x4 tile greedy in torch's style",
        _open_tile_kernel,
        exact=False,
        fills=False,
        language="NumPy",
        largest_m=4,
    ),
)
