"""Why rows miss their targets: tables of what was measured beside them."""

from __future__ import annotations

from bench.context import Record
from bench.surface.bounds import bound_of
from bench.surface.target import misses
from bench.tables import by_m, markdown, number

WHY = (
    "\n## Why rows miss their targets\n\n"
    "Cells below their targets in million entries per second: what was reached, what the target "
    "asks for, and a yardstick, which meets the same obstacle and does less. It was timed right "
    "after the cell.\n\n"
)
STAGES = (
    "\nWhere the time goes if scores tie or span many decades: ns per entry (`bench/stages.cpp`). "
    "The first attempt is what normal weights take, mostly price sweeps. Tied tiles get a second "
    "one: prices move to where ties are exact, and entries that cost just these fill up rows and "
    "columns. In tiles whose counts are still off, a search for each missing unit finds the "
    "shortest path, one after another. Tiles of many decades are swept and searched in floats.\n\n"
)


def reasons(records: list[Record]) -> str:
    """Return both tables, or nothing if no target is missed."""
    missed = [record for record in records if misses(record)]
    if not missed:
        return ""
    profiled = [record for record in missed if "stages" in record]
    return WHY + _bounds(missed) + (STAGES + _profiles(profiled) if profiled else "")


def _bounds(missed: list[Record]) -> str:
    cases: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(missed, key=lambda record: record["share"]):
        cases.setdefault((record["group"], record["case"]), []).append(record)
    rows = [_row(*case, cells) for case, cells in cases.items()]
    return markdown(
        ["what misses it", "reached / target / yardstick", "the yardstick is", "why"], rows
    )


def _row(group: str, case: str, cells: list[Record]) -> list[str]:
    bound = bound_of(group, case)
    rates = ", ".join(map(_cell, sorted(cells, key=lambda record: record["column"])))
    if bound is None:
        return [case, rates, "", "This is not known."]
    return [case, rates, bound.what, bound.why]


def _cell(record: Record) -> str:
    target = record["best_rate"] / record["share"]
    bound = number(record["bound"]) if "bound" in record else "not measured"
    rates = f"{number(record['best_rate'])} / {number(target)} / {bound}"
    return f"{by_m(record['column'])}: {rates}"


def _profiles(records: list[Record]) -> str:
    header = [
        "scores", "m", "first attempt", "second", "searches", "in floats",
        "tiles tied", "tiles searched", "units in each",
    ]  # fmt: skip
    records = sorted(records, key=lambda record: (record["column"], record["share"]))
    return markdown(header, [_profile(record) for record in records])


def _profile(record: Record) -> list[str]:
    found = record["stages"]
    later = [found[stage] for stage in ("ties", "augmenting paths", "floats")]
    shares = [1 - sum(later), *later]
    searched = found["searched"]
    return [
        record["case"], str(record["m"]),
        *(f"{1000 * share / found['best_rate']:.2f}" for share in shares),
        f"{found['tied']:.0%}", f"{searched:.0%}",
        f"{found['units'] / searched:.1f}" if searched else "",
    ]  # fmt: skip
