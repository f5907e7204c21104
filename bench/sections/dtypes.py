"""Element types and memory layouts."""

from __future__ import annotations

from bench.context import Context, Record
from bench.sections.base import MAIN_M, Section
from bench.tables import by_m, pivot, rate
from bench.throughput import solver_record

CASES = (
    ("float32", "C"),
    ("float32", "F"),
    ("float16", "C"),
    ("float16", "F"),
    ("bfloat16", "C"),
    ("float64", "C"),
    ("int8", "C"),
)


def _run(context: Context) -> list[Record]:
    return [
        solver_record(context, "normal", m // 2, m, dtype=dtype, order=order)
        for dtype, order in CASES
        for m in MAIN_M
    ]


def _table(records: list[Record]) -> str:
    def row(record: Record) -> str:
        return str(record["dtype"]) + (", Fortran order" if record["order"] == "F" else "")

    return pivot(records, "array", row, lambda r: r["m"], rate, by_m)


SECTION = Section(
    "dtypes",
    "Every dtype and layout",
    "Million entries per second, normal weights, n = m / 2, one thread. The int8 weights are "
    "normal ones at 32 steps per standard deviation, so they tie.",
    _run,
    _table,
)
