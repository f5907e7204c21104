"""The large matrix: one thread and two, a new mask and one given, and the core alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench.context import Context, Record
from bench.measure import time_call
from bench.sections.base import MAIN_M, Section
from bench.tables import by_m, number, pivot
from bench.throughput import matrix, require_optimal

Calls = dict[str, tuple[int, Callable[[], object]]]


def _calls(weights: NDArray[Any], n: int, m: int) -> Calls:
    given = np.empty(weights.shape, dtype=np.bool_)
    public = partial(tnm.transposable_mask, weights, n, m)
    core = partial(
        tnm._core.transposable_mask,
        *(weights, str(weights.dtype), given, False, n, m, "optimal", "abs", True, 1),
    )
    return {
        "1 thread": (1, partial(public, threads=1)),
        "1 thread, `out=` given": (1, partial(public, threads=1, out=given)),
        "1 thread, the core alone": (1, core),
        "2 threads": (2, partial(public, threads=2)),
    }


def _run(context: Context) -> list[Record]:
    records: list[Record] = []
    for m in MAIN_M:
        n = m // 2
        weights = matrix("normal", context.headline_side, n, m, "float32", "C")
        for name, (threads, call) in _calls(weights, n, m).items():
            timing = time_call(call, 2 * context.seconds)
            records.append(
                {
                    "call": name,
                    "n": n,
                    "m": m,
                    "threads": threads,
                    "shape": list(weights.shape),
                    **timing.record(weights.size),
                }
            )
        require_optimal(weights, n, m, 1)
    return records


def _table(records: list[Record]) -> str:
    side = records[0]["shape"]
    rates = pivot(
        records,
        f"{side[0]} x {side[1]} float32",
        lambda r: r["call"],
        lambda r: r["m"],
        lambda r: f"{number(r['rate'])} ({number(r['best_rate'])})",
        by_m,
    )
    seconds = pivot(
        records,
        "milliseconds per call",
        lambda r: r["call"],
        lambda r: r["m"],
        lambda r: number(1000 * r["seconds"]),
        by_m,
    )
    return f"{rates}\n{seconds}"


SECTION = Section(
    "headline",
    "Exact transposable masks, n = m / 2, normal weights",
    "Million entries per second of the public call: median (best). Every mask is checked for its "
    "pattern, and a corner of it for its proof of optimality (relative gap at most 1e-9). A new "
    "mask costs the system a pass that clears its pages; what a mask given by `out=` held is "
    "remembered, a bit for each flag, for the case that something goes wrong; the core alone needs "
    "neither.",
    _run,
    _table,
)
