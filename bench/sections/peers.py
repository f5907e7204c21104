"""Exact solvers on the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.comparison import compare
from bench.context import Context, Record, note
from bench.native import UnavailableError
from bench.peers import PEERS, Peer
from bench.sections.base import MAIN_M, Section
from bench.tables import by_m, number, percent, pivot
from bench.throughput import solver_record
from bench.tiles import GRID, sample

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
        ours = solver_record(context, distribution, n, m)
        records.append(
            {
                **ours,
                "peer": OURS,
                "exact": True,
                "fills": True,
                "loss": 0.0,
                "ratio": 1.0,
                "tiles_per_second": ours["rate"] * 1e6 / m**2,
            }
        )
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


def _run(context: Context) -> list[Record]:
    exact = (peer for peer in PEERS if peer.exact)
    return run_peers(context, exact, [("normal", m // 2, m) for m in MAIN_M])


def _table(records: list[Record]) -> str:
    others = [record for record in records if record["peer"] != OURS]
    tables = [
        _by_peer(records, "million entries a second", lambda r: number(r["rate"])),
        _by_peer(records, "tiles a second", lambda r: f"{r['tiles_per_second']:,.0f}"),
        _by_peer(others, "tnm_core is faster by", lambda r: f"{number(r['ratio'])} x"),
    ]
    return "\n".join([*tables, verdict(others)])


def loss_table(records: list[Record]) -> str:
    """Rates and losses of approximations."""
    others = [record for record in records if record["peer"] != OURS]
    tables = [
        _by_peer(records, "million entries a second", lambda r: number(r["rate"])),
        _by_peer(records, "relative loss of score", lambda r: percent(r["loss"])),
        _by_peer(
            [record for record in others if not record["fills"]],
            "tiles where every row and column keeps n",
            lambda r: f"{100 * r['filled_tiles']:.0f} %",
        ),
        _by_peer(others, "tnm_core optimal is faster by", lambda r: f"{number(r['ratio'])} x"),
    ]
    return "\n".join([*tables, verdict(others)])


def _by_peer(records: list[Record], corner: str, cell: Callable[[Record], str]) -> str:
    return pivot(records, corner, lambda r: r["peer"], lambda r: r["m"], cell, by_m)


def verdict(others: list[Record]) -> str:
    """Say what comparing every tile showed."""
    wrong = [record for record in others if record["disagreement"]]
    if wrong:
        names = ", ".join(f"{r['peer']} ({r['n']}:{r['m']})" for r in wrong)
        return f"**The answers contradict ours: {names}.**\n"
    tiles = sum(record["tiles"] for record in others)
    if all(record["exact"] for record in others):
        return f"On all {tiles:,} tiles solved by peers the score equals ours.\n"
    return (
        f"On none of {tiles:,} answers of peers the score exceeds the optimum: that of exactly n "
        "for those that keep exactly n, that of at most n (which can be higher) for the others.\n"
    )


SECTION = Section(
    "peers",
    "Against exact solvers",
    "n = m / 2, normal weights on a grid of 2^-20, so that solvers of integers get the very same "
    "numbers. One thread. OR-tools and HiGHS get several tiles a call and LEMON keeps its graph, "
    "which is how each is fastest.",
    _run,
    _table,
)
