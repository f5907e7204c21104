"""Every m, and n other than m / 2."""

from __future__ import annotations

from bench.context import Context, Record
from bench.sections.base import Section
from bench.tables import pivot, rate
from bench.throughput import solver_record

SIZES = (4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128)


def _kept(m: int) -> dict[str, int]:
    return {"n = 1": 1, "n = m / 4": m // 4, "n = m / 2": m // 2, "n = 3 m / 4": 3 * m // 4}


def _run(context: Context) -> list[Record]:
    return [
        {"kept": kept, **solver_record(context, "normal", n, m)}
        for m in SIZES
        for kept, n in _kept(m).items()
    ]


def _table(records: list[Record]) -> str:
    return pivot(records, "pattern", lambda r: f"m = {r['m']}", lambda r: r["kept"], rate)


SECTION = Section(
    "patterns",
    "Every pattern",
    "Million entries per second, normal float32 weights, one thread.",
    _run,
    _table,
)
