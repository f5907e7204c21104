"""The limits of the machine, one thread."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from bench import native
from bench.context import Context, Record, note
from bench.distributions import draw
from bench.measure import time_call
from bench.sections.base import Section
from bench.tables import markdown, number


def _run(context: Context) -> list[Record]:
    side = context.headline_side
    weights = draw("normal", (side, side), 2, 4)
    target, mask = np.empty_like(weights), np.empty(weights.shape, dtype=np.bool_)
    passes: dict[str, Callable[[], object]] = {
        "copy float32 (np.copyto)": lambda: np.copyto(target, weights),
        "write bool (fill)": lambda: mask.fill(True),
        **_native_passes(weights, mask),
    }
    records: list[Record] = []
    for name, call in passes.items():
        timing = time_call(call, 2 * context.seconds)
        records.append({"pass": name, **timing.record(weights.size)})
    return records


def _native_passes(weights: np.ndarray, mask: np.ndarray) -> dict[str, Callable[[], object]]:
    try:
        library = native.load("ceilings.cpp", "-march=native", *native.ANY_ORDER)
    except native.UnavailableError as reason:
        note(f"  skipped: passes in C++: {reason}")
        return {}
    pointer, count = ctypes.c_void_p(weights.ctypes.data), ctypes.c_int64(weights.size)
    out, limit = ctypes.c_void_p(mask.ctypes.data), ctypes.c_float(0.6745)
    library.abs_sum.restype = ctypes.c_double
    return {
        "read float32 (sum of magnitudes)": lambda: library.abs_sum(pointer, count),
        "read float32, write bool (threshold)": lambda: library.threshold(
            pointer, count, limit, out
        ),
    }


def _table(records: list[Record]) -> str:
    rows = ([r["pass"], number(r["rate"]), number(r["best_rate"])] for r in records)
    return markdown(["pass over memory", "median", "best"], rows)


SECTION = Section(
    "ceilings",
    "Limits of the machine",
    "Million entries per second, one thread, on the matrix of the headline.",
    _run,
    _table,
)
