"""Exact solvers on numbers with all their bits, with ties and with heavy tails."""

from __future__ import annotations

from bench.context import Context, Record
from bench.distributions import title
from bench.peers import lemon, ortools_flow
from bench.peers.tiles import FINE_GRID
from bench.sections.base import Section
from bench.sections.peers.runs import OURS, run_peers
from bench.sections.peers.tables import verdict
from bench.tables import number, pivot

SIZES = (8, 16, 32)
FINE = "every bit of normal float32"
CASES = [
    *((name, m // 2, m) for name in ("integers", "zeros", "inflated") for m in SIZES),
    *(("student", 1, m) for m in SIZES),
]


def _run(context: Context) -> list[Record]:
    peers = (*lemon.PEERS, *ortools_flow.PEERS)
    fine = run_peers(context, peers, [("normal", m // 2, m) for m in SIZES], FINE_GRID)
    for record in fine:
        record["distribution"] = FINE
    return [*fine, *run_peers(context, peers, CASES)]


def _title(record: Record) -> str:
    name = record["distribution"]
    return FINE if name == FINE else title(name)


def _table(records: list[Record]) -> str:
    def cell(record: Record) -> str:
        speed = number(record["rate"])
        return speed if record["peer"] == OURS else f"{speed} ({number(record['ratio'])} x)"

    table = pivot(
        records,
        "million entries per second (tnm_core is faster by)",
        lambda r: f"{_title(r)}, {r['n']}:{r['m']}",
        lambda r: r["peer"],
        cell,
    )
    return f"{table}\n{verdict([r for r in records if r['peer'] != OURS])}"


SECTION = Section(
    "hard_peers",
    "Against exact solvers: all bits, ties, heavy tails",
    "As above; the first rows on a grid of 2^-40, which holds every bit of the float32 weights.",
    _run,
    _table,
)
