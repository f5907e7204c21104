"""LEMON's network simplex (C++), through a small driver; needs Debian's liblemon-dev."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from bench import native
from bench.peers.base import Peer
from bench.peers.tiles import Masks, TileSample


def _open() -> Callable[[TileSample], Masks]:
    try:
        library = native.load("peers/lemon_driver.cpp")
    except native.UnavailableError as reason:
        raise native.UnavailableError(f"{reason} (Debian: install liblemon-dev)") from reason
    library.solve_tiles.restype = ctypes.c_int64
    library.solve_tiles.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_int, ctypes.c_void_p,
    ]  # fmt: skip

    def solve(tiles: TileSample) -> Masks:
        scores = np.ascontiguousarray(tiles.integers)
        masks = np.empty(scores.shape, dtype=np.bool_)
        solved = library.solve_tiles(
            scores.ctypes.data, tiles.tiles, tiles.n, tiles.m, masks.ctypes.data
        )
        if solved != tiles.tiles:
            raise AssertionError(f"LEMON solved {solved} of {tiles.tiles} tiles")
        return masks

    return solve


PEERS = (Peer("LEMON network simplex", _open, exact=True, fills=True, language="C++"),)
