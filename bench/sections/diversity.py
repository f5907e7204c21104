"""Counting masks: CPU seconds against targets, the prediction, the dynamic program, threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import comb
from time import perf_counter, process_time

import tnm_core as tnm
from bench.context import Context, Record
from bench.sections.base import Section
from bench.tables import markdown, number
from tnm_core import _core
from tnm_core import counting

# CPU seconds on one core with AVX-512.
TARGETS = {
    (8, 16): 0.005,
    (10, 20): 0.1,
    (12, 24): 2.5,
    (14, 28): 120.0,
    (8, 32): 0.6,
    (6, 64): 3.0,
    (4, 64): 0.05,
}
LONGEST_QUICK = 3.0
MOST_PROFILES = 1_000_000
MEMORY_CAP = 1 << 30
THREADED = (11, 22)


def _run(context: Context) -> list[Record]:
    patterns = [p for p, target in TARGETS.items() if target <= LONGEST_QUICK or not context.quick]
    return [*(_count(n, m) for n, m in patterns), _threads()]


def _count(n: int, m: int) -> Record:
    seconds, count = _best(
        lambda: tnm.mask_diversity(n, m, threads=1, max_seconds=math.inf), process_time
    )
    record: Record = {
        "n": n,
        "m": m,
        "seconds": seconds,
        "target": TARGETS[n, m],
        "predicted": counting.predicted_cost(n, m).seconds,
        "program_seconds": None,
    }
    if comb(m + n, n) <= MOST_PROFILES:
        margins = [n] * m
        record["program_seconds"], other = _best(
            lambda: _core.count_margins_dp(margins, margins, MEMORY_CAP), process_time
        )
        if other != count:
            raise AssertionError(f"{n}:{m}: the two counts differ")
    return record


def _threads() -> Record:
    n, m = THREADED
    wall = {
        threads: _best(lambda: tnm.mask_diversity(n, m, threads=threads), perf_counter)[0]  # noqa: B023
        for threads in (1, 2)
    }
    return {"n": n, "m": m, "threads_ratio": wall[1] / wall[2]}


def _best(call: Callable[[], int], clock: Callable[[], float]) -> tuple[float, int]:
    """The least of several times; one is enough for a long call."""
    best, result = math.inf, 0
    for _ in range(5):
        started = clock()
        result = call()
        best = min(best, clock() - started)
        if best > 2:
            break
    return best, result


def _table(records: list[Record]) -> str:
    rows = []
    for record in records:
        if "threads_ratio" in record:
            continue
        program = record["program_seconds"]
        rows.append(
            [
                f"{record['n']}:{record['m']}",
                number(record["seconds"]),
                number(record["target"]),
                number(record["predicted"]),
                "-" if program is None else number(program),
            ]
        )
    header = ["CPU seconds", "count", "target", "predicted", "dynamic program"]
    ratio = next(r for r in records if "threads_ratio" in r)
    return (
        markdown(header, rows)
        + f"\nTwo threads count {ratio['n']}:{ratio['m']} {ratio['threads_ratio']:.2f} times as "
        "fast as one.\n"
    )


SECTION = Section(
    "diversity",
    "Counting masks",
    "One thread, CPU time. The dynamic program counts the same masks where its tables are small; "
    "the results are asserted equal. Targets are for one AVX-512 core.",
    _run,
    _table,
)
