"""A peer on a sample of tiles: its rate, and its answer against ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from bench.context import Context, Record
from bench.measure import time_call, time_once
from bench.peers.base import Peer
from bench.peers.tiles import Masks, TileSample, require_pattern

GROWTH = 4


def compare(context: Context, peer: Peer, tiles: TileSample) -> Record:
    """Time a peer and check what it finds; `bench.native.UnavailableError` if it cannot run here.

    A solver gets as many tiles as its time allows, an approximation all of them, so that losses are
    means over the same tiles.
    """
    solve = peer.open()
    part = _affordable(context, solve, tiles) if peer.exact else tiles
    timing = time_call(partial(solve, part), context.peer_seconds / 3)
    masks = solve(part)
    rates = timing.record(part.integers.size)
    return {
        "peer": peer.name,
        "exact": peer.exact,
        "fills": peer.fills,
        "language": peer.language,
        "distribution": tiles.distribution,
        "n": tiles.n,
        "m": tiles.m,
        "tiles": part.tiles,
        **rates,
        "tiles_per_second": rates["rate"] * 1e6 / tiles.m**2,
        "loss": 1 - int(part.kept(masks).sum()) / max(1, int(part.optimum.sum())),
        "filled_tiles": float((masks.sum(axis=(1, 2)) == tiles.n * tiles.m).mean()),
        "case": f"{tiles.n}:{tiles.m}, {tiles.distribution}",
        "disagreement": disagreement(context, peer, part, masks),
    }


def _affordable(
    context: Context, solve: Callable[[TileSample], Masks], tiles: TileSample
) -> TileSample:
    """Take as many tiles as a third of the time allows."""
    count = 1
    while count < tiles.tiles:
        if time_once(partial(solve, tiles.part(0, count))) > context.peer_seconds / (3 * GROWTH):
            break
        count *= GROWTH
    return tiles.part(0, count)


def disagreement(
    context: Context, peer: Peer, tiles: TileSample, masks: Masks
) -> dict[str, object] | None:
    """Return the first tile where the peer beats us, or is exact and falls short; keep it."""
    require_pattern(masks, tiles.n, exactly=peer.fills)
    theirs = tiles.kept(masks)
    ours = tiles.optimum if peer.fills else tiles.loosest
    wrong = np.flatnonzero(theirs != ours if peer.exact else theirs > ours)
    if not wrong.size:
        return None
    tile = int(wrong[0])
    path = context.output / f"disagreement_{peer.name.replace(' ', '_')}_{tiles.n}_{tiles.m}.npy"
    np.save(path, tiles.integers[tile])
    return {
        "tile": tile,
        "tiles": int(wrong.size),
        "ours": int(ours[tile]),
        "theirs": int(theirs[tile]),
        "file": path.name,
    }
