"""The surface: how far each form of weights falls behind the headline of its m."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from bench.context import Context, Record, note
from bench.measure import Timing
from bench.products.rounds import time_in_turns
from bench.sections.base import Section
from bench.surface.bounds import Missed, bound_of
from bench.surface.calls import headline
from bench.surface.case import Case
from bench.surface.cases import all_cases
from bench.surface.reasons import reasons
from bench.surface.target import misses
from bench.tables import by_m, markdown, number

# A part of what other sections give to a measurement: there are some seven hundred here.
SHARE_OF_SECONDS = 0.2


def _run(context: Context) -> list[Record]:
    records: list[Record] = []
    for case in all_cases():
        note(f"  {case.group}: {case.name}")
        records.extend(_compare(case, column, context) for column in case.columns)
    return records


def _compare(case: Case, column: int, context: Context) -> Record:
    """Time a case and the headline in turns; the best of each, as quiet moments give them."""
    m, side = case.m(column), context.side // 2
    target = case.goal(m)
    job = case.make(case.n(m), m, side)
    beside = (case.beside or headline)(column // 2, column, side)
    calls = [job.call, beside.call, *([job.copying()] if target.copied else [])]
    with _processors(case.processors):
        timing, best, *copy = time_in_turns(calls, context.seconds * SHARE_OF_SECONDS)
    rate, best_rate = _rate(timing, job.entries), _rate(best, beside.entries)
    copy_rate = _rate(copy[0], job.entries) if copy else None
    share = target.share(rate, best_rate, copy_rate)
    record: Record = {
        "group": case.group, "case": case.name, "n": case.n(m), "m": m, "column": column,
        "entries": job.entries, **timing.record(job.entries),
        "headline": best_rate, "ratio": rate / best_rate, "copy": copy_rate,
        "target": str(target), "target_is_rate": target.is_rate,
        "share": share,
    }  # fmt: skip
    if misses(record):
        record |= _bound(Missed(job, case.n(m), m, best_rate, context.seconds / 2), record)
    return record


def _bound(missed: Missed, record: Record) -> Record:
    bound = bound_of(record["group"], record["case"])
    return {} if bound is None else bound.measure(missed)


def _rate(timing: Timing, entries: int) -> float:
    return entries / timing.best / 1e6


@contextmanager
def _processors(count: int) -> Iterator[None]:
    """Leave this process so many processors: not every call takes a number of threads."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    found = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(found)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, found)


def worst_first(records: list[Record]) -> list[tuple[str, str]]:
    """Order groups and cases by what they reach of their target at worst; those without come last.

    Among equals, the lowest ratio comes first.
    """
    worst: dict[tuple[str, str], tuple[float, float]] = {}
    for record in records:
        row = (record["group"], record["case"])
        share = float("inf") if record["share"] is None else record["share"]
        found = (share, record["ratio"])
        worst[row] = min(worst.get(row, found), found)
    return sorted(worst, key=lambda row: worst[row])


def _table(records: list[Record]) -> str:
    found = {(r["group"], r["case"], r["column"]): r for r in records}
    targets: dict[tuple[str, str], list[str]] = {}
    for r in records:
        targets.setdefault((r["group"], r["case"]), []).append(r["target"])
    columns = sorted({r["column"] for r in records})
    lines = [
        [case, group, _target(targets[group, case]),
         *(_cell(found.get((group, case, column))) for column in columns)]
        for group, case in worst_first(records)
    ]  # fmt: skip
    return (
        f"{_summary(records)}\n\n"
        + markdown(["case", "varies", "target", *map(by_m, columns)], lines)
        + reasons(records)
    )  # fmt: skip


def _target(of_columns: list[str]) -> str:
    return "; ".join(dict.fromkeys(target for target in of_columns if target))


def _summary(records: list[Record]) -> str:
    with_target = [record for record in records if record["share"] is not None]
    missed = [record for record in with_target if misses(record)]
    typical = median(record["ratio"] for record in records)
    return (
        f"{len(with_target) - len(missed)} of {len(with_target)} cells reach their target, "
        f"{len(missed)} miss it; the median ratio is {typical:.2f}."
    )


def _cell(record: Record | None) -> str:
    if record is None:
        return ""
    shown = f"{record['ratio']:.2f} ({number(record['best_rate'])})"
    return f"**{shown}**" if misses(record) else shown


SECTION = Section(
    "surface",
    "Beside the headline",
    "How fast each form of weights is beside the headline of the same m (normal float32 weights in "
    "C order, n = m / 2, a new mask), which is timed in turns with it: ratios, and in brackets "
    "million entries per second (M/s), at best. Those that reach the smallest part of their target "
    "come first, and what misses its target is bold. Where many bytes are read for each entry, the "
    "target may be reached beside a copy of the array by NumPy. One thread unless said; squares "
    "are about 2048 wide.",
    _run,
    _table,
    page="surface",
)
