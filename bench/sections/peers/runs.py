"""Running peers and ourselves on the same numbers."""

from __future__ import annotations

from collections.abc import Iterable

from bench.context import Context, Record, note
from bench.native import UnavailableError
from bench.peers import Peer
from bench.peers.comparison import compare
from bench.peers.tiles import GRID, sample
from bench.throughput import solver_record

OURS = "tnm_core, optimal"


def run_peers(
    context: Context,
    peers: Iterable[Peer],
    cases: Iterable[tuple[str, int, int]],
    grid: float = GRID,
) -> list[Record]:
    """Solve each case (distribution, n, m) by us, on a large matrix, and by peers on a sample."""
    chosen, missing = list(peers), set[str]()
    records: list[Record] = []
    for distribution, n, m in cases:
        ours = _our_record(context, distribution, n, m)
        records.append(ours)
        tiles = sample(distribution, n, m, 1 << 15 if context.quick else 1 << 19, grid)
        for peer in chosen:
            if m > peer.largest_m or peer.name in missing:
                continue
            try:
                record = compare(context, peer, tiles)
            except UnavailableError as reason:
                note(f"  skipped: {peer.name}: {reason}")
                missing.add(peer.name)
                continue
            record["ratio"] = ours["rate"] / record["rate"]
            records.append(record)
    return records


def _our_record(context: Context, distribution: str, n: int, m: int) -> Record:
    ours = solver_record(context, distribution, n, m)
    return {
        **ours,
        "peer": OURS,
        "exact": True,
        "fills": True,
        "loss": 0.0,
        "ratio": 1.0,
        "tiles_per_second": ours["rate"] * 1e6 / m**2,
    }
