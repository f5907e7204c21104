"""What the proof costs."""

from __future__ import annotations

from functools import partial

import tnm_core as tnm
from bench.context import Context, Record
from bench.measure import time_call
from bench.sections.base import MAIN_M, Section
from bench.tables import by_m, number, pivot
from bench.throughput import matrix

SIDE = 2048


def _run(context: Context) -> list[Record]:
    records: list[Record] = []
    for m in MAIN_M:
        n, side = m // 2, min(SIDE, context.side)
        weights = matrix("normal", side, n, m, "float32", "C")
        call = partial(tnm.transposable_mask, weights, n, m, threads=1)
        plain = time_call(call, context.seconds)
        proved = time_call(partial(call, return_certificate=True), context.seconds)
        for name, timing in (("mask", plain), ("mask and certificate", proved)):
            records.append(
                {
                    "call": name,
                    "n": n,
                    "m": m,
                    "cost": timing.median / plain.median,
                    **timing.record(weights.size),
                }
            )
    return records


def _table(records: list[Record]) -> str:
    return pivot(
        records,
        "call",
        lambda r: r["call"],
        lambda r: r["m"],
        lambda r: number(r["rate"]) + ("" if r["cost"] == 1 else f" ({r['cost']:.2f} x time)"),
        by_m,
    )


SECTION = Section(
    "certificate",
    "Cost of `return_certificate`",
    "Million entries per second, normal float32 weights, n = m / 2, one thread.",
    _run,
    _table,
)
