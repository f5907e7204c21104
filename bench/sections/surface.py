"""The surface: how far each form of weights falls behind the headline of its m."""

from __future__ import annotations

from collections.abc import Callable

from bench.context import Context, Record, note
from bench.measure import Timing
from bench.products.rounds import time_in_turns
from bench.sections.base import MAIN_M, Section
from bench.surface.case import Call
from bench.surface.cases import all_cases, headline
from bench.tables import by_m, markdown, number


def _run(context: Context) -> list[Record]:
    records: list[Record] = []
    for case in all_cases():
        note(f"  {case.group}: {case.name}")
        records.extend(
            {"group": case.group, "case": case.name, "n": m // 2, "m": m,
             **_compare(case.make, m // 2, m, context)}
            for m in case.of_m or MAIN_M
        )  # fmt: skip
    return records


def _compare(
    make: Callable[[int, int, int], tuple[Call, int]], n: int, m: int, context: Context
) -> Record:
    """Time a case and the headline in turns; the best of each, as quiet moments give them."""
    side = context.side // 2
    (call, entries), (best_call, best_entries) = make(n, m, side), headline(n, m, side)
    timing, best = time_in_turns([call, best_call], context.seconds / 2)
    return {
        "entries": entries,
        **timing.record(entries),
        "headline": _rate(best, best_entries),
        "ratio": _rate(timing, entries) / _rate(best, best_entries),
    }


def _rate(timing: Timing, entries: int) -> float:
    return entries / timing.best / 1e6


def worst_first(records: list[Record]) -> list[tuple[str, str]]:
    """Order groups and cases by their worst ratio."""
    worst: dict[tuple[str, str], float] = {}
    for record in records:
        row = (record["group"], record["case"])
        worst[row] = min(worst.get(row, record["ratio"]), record["ratio"])
    return sorted(worst, key=lambda row: worst[row])


def _table(records: list[Record]) -> str:
    found = {(r["group"], r["case"], r["m"]): r for r in records}
    sizes = sorted({r["m"] for r in records})
    lines = [
        [case, group, *(_cell(found.get((group, case, m))) for m in sizes)]
        for group, case in worst_first(records)
    ]
    return markdown(["case", "varies", *map(by_m, sizes)], lines)


def _cell(record: Record | None) -> str:
    return f"{record['ratio']:.2f} ({number(record['best_rate'])})" if record else ""


SECTION = Section(
    "surface",
    "The surface",
    "How fast each form of weights is beside the headline of the same m (normal float32 weights in "
    "C order, n = m / 2, a new mask), which is timed in turns with it; the worst first. In "
    "brackets million entries per second, at best. One thread; squares are about 2048 wide.",
    _run,
    _table,
)
