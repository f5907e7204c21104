"""The approximate methods of tnm_core itself."""

from __future__ import annotations

from collections.abc import Callable

import tnm_core
from bench.peers.base import Peer
from bench.peers.tiles import Masks, TileSample
from tnm_core.arguments import Method


def _peer(name: str, method: Method, complete: bool) -> Peer:
    def open_method() -> Callable[[TileSample], Masks]:
        def solve(tiles: TileSample) -> Masks:
            masks = tnm_core.transposable_mask(
                tiles.wide, tiles.n, tiles.m, method=method, complete=complete, threads=1
            )
            return tiles.from_wide(masks)

        return solve

    return Peer(name, open_method, exact=False, fills=complete, language="C++")


PEERS = (
    _peer("tnm_core greedy", "greedy", complete=False),
    _peer("tnm_core greedy, completed", "greedy", complete=True),
    _peer("tnm_core 2-approximation", "two_approximation", complete=False),
    _peer("tnm_core 2-approximation, completed", "two_approximation", complete=True),
)
