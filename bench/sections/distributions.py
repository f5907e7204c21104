"""Ordinary, tied and hard weights."""

from __future__ import annotations

from bench.context import Context, Record
from bench.distributions import DISTRIBUTIONS, title
from bench.sections.base import MAIN_M, Section
from bench.tables import by_m, pivot, rate
from bench.throughput import solver_record


def _run(context: Context) -> list[Record]:
    halves = [(name, m // 2, m) for name in DISTRIBUTIONS for m in MAIN_M]
    singles = [("student", 1, m) for m in MAIN_M]
    return [
        {"kept": "n = 1" if case in singles else "n = m / 2", **solver_record(context, *case)}
        for case in (*halves, *singles)
    ]


def _table(records: list[Record]) -> str:
    def row(record: Record) -> str:
        name = title(record["distribution"])
        return name if record["kept"] == "n = m / 2" else f"{name}, n = 1"

    return pivot(records, "weights", row, lambda r: r["m"], rate, by_m)


SECTION = Section(
    "distributions",
    "Every kind of weights",
    "Million entries per second, float32, n = m / 2 unless said otherwise, one thread.",
    _run,
    _table,
)
