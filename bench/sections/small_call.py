"""Overhead of the public call over the compiled core on a small matrix."""

from __future__ import annotations

from statistics import median

import numpy as np

import tnm_core as tnm
from bench.context import Context, Record
from bench.distributions import draw
from bench.measure import time_once
from bench.sections.base import Section
from bench.tables import markdown, number
from tnm_core import _core

SIDES = (4, 256)
MOST_SECONDS = 1.0


def _run(context: Context) -> list[Record]:
    return [_overhead(side, 200 if context.quick else 1000) for side in SIDES]


def _overhead(side: int, repeats: int) -> Record:
    """Alternate the two calls, so that both meet the same state of the machine."""
    weights = draw("normal", (side, side), 2, 4)
    mask = np.empty(weights.shape, dtype=np.bool_)

    def core() -> object:
        return _core.transposable_mask(
            weights, "float32", mask, False, 2, 4, "optimal", "abs", True, 1
        )

    def public() -> object:
        return tnm.transposable_mask(weights, 2, 4)

    core(), public()
    repeats = max(20, min(repeats, int(MOST_SECONDS / (time_once(core) + time_once(public)))))
    pairs = [(time_once(core), time_once(public)) for _ in range(repeats)]
    inner, outer = (1e6 * median(times) for times in zip(*pairs, strict=True))
    overhead = 1e6 * median(whole - part for part, whole in pairs)
    return {"side": side, "core": inner, "public": outer, "overhead": overhead}


def _table(records: list[Record]) -> str:
    names = ("public", "core", "overhead")
    rows = ([f"{r['side']} x {r['side']}", *(number(r[name]) for name in names)] for r in records)
    return markdown(["microseconds at 2:4", "public call", "core", "overhead"], rows)


SECTION = Section(
    "small_call",
    "Overhead of a small call",
    "Medians, one thread; the core is called with prepared arguments and a prepared mask.",
    _run,
    _table,
)
