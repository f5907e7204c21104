"""Shapes as they come: layers, batches, edge tiles, small ones."""

from __future__ import annotations

from bench.context import Context, Record
from bench.distributions import draw
from bench.sections.base import Section
from bench.tables import pivot, rate
from bench.throughput import time_mask

SHAPES: tuple[tuple[int, ...], ...] = (
    (64, 64),
    (256, 256),
    (1024, 1024),
    (768, 3072),
    (1023, 1025),
    (36, 384, 384),
    (64, 16384),
    (16384, 64),
)
PATTERNS = ((2, 4), (4, 8), (8, 16), (16, 32))


def _run(context: Context) -> list[Record]:
    records: list[Record] = []
    for shape in SHAPES:
        for n, m in PATTERNS[1:3] if context.quick else PATTERNS:
            weights = draw("normal", shape, n, m)
            timing = time_mask(weights, n, m, 1, context.seconds / 2)
            records.append({"shape": list(shape), "n": n, "m": m, **timing.record(weights.size)})
    return records


def _table(records: list[Record]) -> str:
    return pivot(
        records,
        "shape",
        lambda r: " x ".join(str(size) for size in r["shape"]),
        lambda r: f"{r['n']}:{r['m']}",
        rate,
    )


SECTION = Section(
    "shapes",
    "Every shape",
    "Million entries per second, normal float32 weights, one thread; the smaller ones stay in the "
    "cache, and 1023 x 1025 has edge tiles.",
    _run,
    _table,
)
