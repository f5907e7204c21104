"""Where the time of the kernels goes, stage by stage."""

from __future__ import annotations

import ctypes
from functools import partial
from statistics import median

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench import native
from bench.context import Record
from bench.measure import LEAST_REPEATS, Timing, time_once

STAGES = (
    "load", "quantize", "transpose", "price sweeps", "threshold", "ties", "augmenting paths",
    "floats", "store",
)  # fmt: skip


class Found(ctypes.Structure):
    """What `stages.cpp` counts: tiles, and the units that searches send."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("tied", "searched", "units", "wide", "left")
    )


def profile(weights: NDArray[np.float32], m: int, seconds: float) -> Record:
    """Time the stages of the kernels, one by one, on float32 in C order; n = m / 2.

    The sides of the weights are multiples of 64.
    """
    library = _library()
    mask, shares = np.empty(weights.shape, dtype=np.bool_), np.empty(len(STAGES))
    found = Found()
    pointer = ctypes.c_void_p
    call = partial(
        library.measure_stages,
        pointer(weights.ctypes.data),
        *map(ctypes.c_int64, weights.shape),
        m,
        pointer(mask.ctypes.data),
        pointer(shares.ctypes.data),
        ctypes.byref(found),
    )
    call()
    if found.left == 0 and not np.array_equal(mask, tnm.transposable_mask(weights, m // 2, m)):
        raise RuntimeError(f"the stages do not add up to the library's mask at m = {m}")
    runs: list[tuple[float, list[float]]] = []
    while len(runs) < LEAST_REPEATS or sum(spent for spent, _ in runs) < seconds:
        runs.append((time_once(call), shares.tolist()))
    times = [spent for spent, _ in runs]
    timing = Timing(median(times), min(times), len(times))
    return {
        "n": m // 2, "m": m,
        **{name: getattr(found, name) * m**2 / weights.size for name, _ in Found._fields_},
        **dict(zip(STAGES, min(runs)[1], strict=True)),
        **timing.record(weights.size),
    }  # fmt: skip


def _library() -> ctypes.CDLL:
    core = native.HERE.parent / "cpp"
    include = ["-std=c++20", "-ffp-contract=off", f"-I{core / 'include'}", f"-I{core / 'src'}"]
    flags = native.flags_of(str(tnm.build_info()["instruction_set"]))
    return native.load("stages.cpp", *include, *flags)
