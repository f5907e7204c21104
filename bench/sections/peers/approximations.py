"""Approximations on the same numbers, and what they lose."""

from __future__ import annotations

from bench.context import Context, Record
from bench.peers import PEERS
from bench.sections.base import MAIN_M, Section
from bench.sections.peers.runs import run_peers
from bench.sections.peers.tables import loss_table


def _run(context: Context) -> list[Record]:
    approximate = (peer for peer in PEERS if not peer.exact)
    return run_peers(context, approximate, [("normal", m // 2, m) for m in MAIN_M])


SECTION = Section(
    "approximations",
    "Against approximations",
    "The same tiles; NumPy peers work on batches of tiles. The loss is relative to the score of "
    "the optimum. Entropic transport is written from the description of TSENOR (tau * max = 100, "
    "T projections, greedy rounding, swaps); the 4x4 tile greedy follows torch's "
    "`largest_abs_values_greedy`, which runs on a GPU: only its loss compares.",
    _run,
    loss_table,
)
