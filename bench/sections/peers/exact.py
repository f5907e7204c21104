"""Exact solvers on the same numbers."""

from __future__ import annotations

from bench.context import Context, Record
from bench.peers import PEERS
from bench.sections.base import MAIN_M, Section
from bench.sections.peers.runs import run_peers
from bench.sections.peers.tables import rate_table


def _run(context: Context) -> list[Record]:
    exact = (peer for peer in PEERS if peer.exact)
    return run_peers(context, exact, [("normal", m // 2, m) for m in MAIN_M])


SECTION = Section(
    "peers",
    "Against exact solvers",
    "n = m / 2, normal weights on a grid of 2^-20, so that solvers of integers get the very same "
    "numbers. One thread. OR-tools and HiGHS get several tiles per call and LEMON keeps its graph, "
    "which is how each is fastest.",
    _run,
    rate_table,
)
