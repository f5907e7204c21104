"""Exact solvers on tied and on heavy-tailed numbers."""

from __future__ import annotations

from bench.context import Context, Record
from bench.distributions import title
from bench.peers import lemon, ortools_flow
from bench.sections.base import Section
from bench.sections.peers import OURS, run_peers, verdict
from bench.tables import number, pivot

CASES = [
    *((name, m // 2, m) for name in ("integers", "zeros", "inflated") for m in (8, 16, 32)),
    *(("student", 1, m) for m in (8, 16, 32)),
]


def _run(context: Context) -> list[Record]:
    return run_peers(context, (*lemon.PEERS, *ortools_flow.PEERS), CASES)


def _table(records: list[Record]) -> str:
    def cell(record: Record) -> str:
        speed = number(record["rate"])
        return speed if record["peer"] == OURS else f"{speed} ({number(record['ratio'])} x)"

    table = pivot(
        records,
        "million entries a second (tnm_core is faster by)",
        lambda r: f"{title(r['distribution'])}, {r['n']}:{r['m']}",
        lambda r: r["peer"],
        cell,
    )
    return f"{table}\n{verdict([r for r in records if r['peer'] != OURS])}"


SECTION = Section(
    "hard_peers",
    "Against exact solvers, ties and heavy tails",
    "As above, on the same grid.",
    _run,
    _table,
)
