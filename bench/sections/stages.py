"""Where the time goes, stage by stage."""

from __future__ import annotations

import ctypes
from functools import partial

import numpy as np

import tnm_core as tnm
from bench import native
from bench.context import Context, Record, note
from bench.distributions import draw
from bench.measure import time_call
from bench.sections.base import Section
from bench.tables import markdown, number

STAGES = ("load", "quantize", "transpose", "price sweeps", "threshold", "augmenting paths", "store")
SIZES = (8, 16, 32, 64)
ROWS, COLUMNS = 1024, 8192


def _run(context: Context) -> list[Record]:
    weights = draw("normal", (ROWS, COLUMNS), 2, 4)
    mask, shares = np.empty(weights.shape, dtype=np.bool_), np.empty(len(STAGES))
    core = native.HERE.parent / "cpp"
    include = ["-std=c++20", "-ffp-contract=off", f"-I{core / 'include'}", f"-I{core / 'src'}"]
    try:
        flags = native.flags_of(str(tnm.build_info()["instruction_set"]))
        library = native.load("stages.cpp", *include, *flags)
    except native.UnavailableError as reason:
        note(f"  skipped: {reason}")
        return []
    library.measure_stages.restype = ctypes.c_int64
    pointer = ctypes.c_void_p
    records: list[Record] = []
    for m in SIZES:
        call = partial(
            library.measure_stages,
            pointer(weights.ctypes.data),
            ctypes.c_int64(ROWS),
            ctypes.c_int64(COLUMNS),
            m,
            pointer(mask.ctypes.data),
            pointer(shares.ctypes.data),
        )
        searched = call()
        if not np.array_equal(mask, tnm.transposable_mask(weights, m // 2, m)):
            raise RuntimeError(f"the stages do not add up to the library's mask at m = {m}")
        timing = time_call(call, context.seconds)
        record: Record = {"n": m // 2, "m": m, "searched": searched * m * m / weights.size}
        record |= dict(zip(STAGES, shares.tolist(), strict=True))
        records.append({**record, **timing.record(weights.size)})
    return records


def _table(records: list[Record]) -> str:
    header = ["stage, ns per entry", *(f"m = {r['m']}" for r in records)]
    rows = [[stage, *(f"{r[stage] * 1000 / r['rate']:.3f}" for r in records)] for stage in STAGES]
    rows.append(["all stages", *(f"{1000 / r['rate']:.3f}" for r in records)])
    rows.append(["million entries/s", *(number(r["rate"]) for r in records)])
    rows.append(["tiles that need a search", *(f"{100 * r['searched']:.1f} %" for r in records)])
    return markdown(header, rows)


SECTION = Section(
    "stages",
    "The stages of a strip",
    "One thread, n = m / 2, normal float32 weights, one strip after another.",
    _run,
    _table,
    page="stages",
)
