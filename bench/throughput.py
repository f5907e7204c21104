"""The rate of the public call on one matrix, with its answer checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from bench.context import Context, Record
from bench.distributions import cast, draw
from bench.measure import Timing, time_call, time_once

PROBE_SIDE = 512
GAP = 1e-9
CORNER = 512


def matrix(distribution: str, side: int, n: int, m: int, dtype: str, order: str) -> NDArray[Any]:
    """Draw a square of whole tiles, about `side` wide."""
    whole = max(1, side // m) * m
    weights = cast(draw(distribution, (whole, whole), n, m), dtype)
    return np.asfortranarray(weights) if order == "F" else weights


def solver_record(
    context: Context,
    distribution: str,
    n: int,
    m: int,
    *,
    dtype: str = "float32",
    order: str = "C",
    threads: int = 1,
) -> Record:
    """Measure `transposable_mask` on a matrix as large as time allows."""
    side = _affordable_side(context, distribution, n, m, dtype)
    weights = matrix(distribution, side, n, m, dtype, order)
    timing = time_mask(weights, n, m, threads, context.seconds)
    return {
        "distribution": distribution,
        "n": n,
        "m": m,
        "dtype": dtype,
        "order": order,
        "threads": threads,
        "shape": list(weights.shape),
        **timing.record(weights.size),
    }


def time_mask(weights: NDArray[Any], n: int, m: int, threads: int, seconds: float) -> Timing:
    timing = time_call(lambda: tnm.transposable_mask(weights, n, m, threads=threads), seconds)
    require_optimal(weights, n, m, threads)
    return timing


def require_optimal(weights: NDArray[Any], n: int, m: int, threads: int) -> None:
    """Check the whole mask for its pattern, and a corner of it for its proof."""
    mask = tnm.transposable_mask(weights, n, m, threads=threads)
    report = tnm.check_mask(mask, n, m, exact=all(size % m == 0 for size in weights.shape[-2:]))
    if not report:
        raise AssertionError(f"{n}:{m}, {weights.dtype}: {report}")
    corner = (..., slice(2 * m), slice(CORNER // m * m))
    proved, proof = tnm.transposable_mask(weights[corner], n, m, return_certificate=True)
    if proof.worst_gap > GAP:
        raise AssertionError(f"{n}:{m}, {weights.dtype}: relative gap {proof.worst_gap:.3g}")
    if not np.array_equal(proved, mask[corner]):
        raise AssertionError(f"{n}:{m}, {weights.dtype}: the certified call gives another mask")


def _affordable_side(context: Context, distribution: str, n: int, m: int, dtype: str) -> int:
    """Halve the side while one call would take much longer than the time for all repeats."""
    probe = matrix(distribution, PROBE_SIDE, n, m, dtype, "C")
    tnm.transposable_mask(probe, n, m, threads=1)
    pace = time_once(lambda: tnm.transposable_mask(probe, n, m, threads=1)) / probe.size
    side = context.side
    while side > PROBE_SIDE and pace * side * side > context.seconds:
        side //= 2
    return side
