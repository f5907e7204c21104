"""What keeps rows of the surface below their targets, and what bounds them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import native
from bench.context import Record
from bench.measure import time_call
from bench.surface.calls import mask
from bench.surface.case import Array, Call, Job
from bench.surface.stage_profile import profile
from tnm_core.certificate import empty_certificate

# Sides of what `stages.cpp` takes are multiples of this.
STRIP = 64
# A batch beyond the cache has several times as much as a part of this share.
CACHED = 8


@dataclass(frozen=True)
class Missed:
    """A cell that is below its target.

    Attributes
    ----------
    job : Job
        The call that was timed, and its array.
    n, m, lanes : int
        Its pattern, and how many lanes its tiles take.
    headline : float
        Million entries per second of what it was compared with.
    seconds : float
        How long a measurement may take.
    """

    job: Job
    n: int
    m: int
    headline: float
    seconds: float

    @property
    def lanes(self) -> int:
        return max(4, 1 << (self.m - 1).bit_length())

    def rate_of(self, call: Call) -> float:
        """Return how many million of the cell's entries there are a second, if a call took all."""
        return self.job.entries / time_call(call, self.seconds).best / 1e6


# Returns the keys of a record: `bound`, in million entries per second, and what else was found.
Measure = Callable[[Missed], Record]


@dataclass(frozen=True)
class Bound:
    """Why a case misses its target, what bounds its rate, and how that is measured."""

    why: str
    what: str
    measure: Measure


def _rate(call: Callable[[Array, Missed], Call]) -> Measure:
    return lambda missed: {"bound": missed.rate_of(call(missed.job.array, missed))}


def _looking(array: Array, missed: Missed, order: Any = "C") -> Call:
    return lambda: np.not_equal(array, 0, out=np.empty(array.shape, dtype=np.bool_, order=order))


def _one_tile(array: Array, missed: Missed) -> Call:
    n, m = missed.n, missed.m
    return partial(mask, np.ascontiguousarray(array[..., :m, :m]).reshape(-1, m)[:m], n, m)


def _full_tiles(array: Array, missed: Missed) -> Call:
    rows, columns = (side // missed.m * missed.m for side in array.shape[-2:])
    full = np.ascontiguousarray(array[..., :rows, :columns])
    return partial(mask, full, missed.n, missed.m)


def _certificate_written(array: Array, missed: Missed) -> Call:
    def write() -> None:
        np.empty(array.shape, dtype=np.bool_).fill(True)
        # All its arrays share a block.
        one = empty_certificate(array.shape, missed.n, missed.m, "abs").row_prices
        np.asarray(one.base).fill(0)

    return write


def _in_the_cache(missed: Missed) -> Record:
    """Take so few matrices of a batch that they stay in the last-level cache."""
    few = missed.job.array[: max(1, len(missed.job.array) // CACHED)]
    job = Job(partial(mask, few, missed.n, missed.m), few)
    return {"bound": replace(missed, job=job).rate_of(job.call)}


def _two_calls(array: Array, missed: Missed) -> Call:
    halves = np.split(array, 2)
    masks = [np.zeros(half.shape, dtype=np.bool_) for half in halves]
    pool = ThreadPoolExecutor(2)

    def solve(half: Array, found: Array) -> None:
        mask(half, missed.n, missed.m, out=found)

    return lambda: list(pool.map(solve, halves, masks))


def _lanes_at_work(missed: Missed) -> Record:
    return {"bound": missed.headline * (missed.m / missed.lanes) ** 2}


def _half_the_lanes(missed: Missed) -> Record:
    return {"bound": missed.headline / 2} | _stages(missed.job.array, missed)


def _first_attempt(missed: Missed, change: Callable[[Array], Array] = np.asarray) -> Record:
    """Take what ties cost, and searches, off the time of the kernels."""
    found = _stages(change(missed.job.array), missed)
    if "stages" not in found:
        return found
    spent = found["stages"]
    rest = 1 - spent["ties"] - spent["augmenting paths"]
    return {"bound": spent["best_rate"] / rest} | found


def _stages(array: Array, missed: Missed) -> Record:
    rows, columns = (side // STRIP * STRIP for side in array.shape)
    weights: NDArray[np.float32] = np.ascontiguousarray(array[:rows, :columns], dtype=np.float32)
    try:
        return {"stages": profile(weights, missed.m, missed.seconds)}
    except native.UnavailableError:
        return {}


_SMALL = "A call takes some microseconds before it looks at an entry."
_EDGES = "Edge tiles go one by one through the general solver; what is left is the call itself."
_LANES = "Tiles take the lanes of the next power of two; what is beyond them idles."
_MEMORY = "Masks take so little time here that they wait for memory."
_TIES = (
    "Equal scores: sweeps leave tiles with other counts, which are filled and searched one by one."
)
_PROOF = (
    "Finding prices for each tile takes a fifth of the time or more, checking them a quarter; "
    "writing them a tenth."
)

_ATTEMPT = Bound(_TIES, "the kernels without ties and searches", _first_attempt)
_LOOK = Bound(_MEMORY, "NumPy's `not_equal` of the same array into a new mask", _rate(_looking))
_TURN = Bound(
    "Lines that lie far apart in memory are read, or written, across.",
    "NumPy's copy of the transposed array",
    _rate(lambda array, _: lambda: np.ascontiguousarray(array.swapaxes(-1, -2))),
)
_TURN_SUMS = Bound(
    "Scores are added up in the same order for every layout, and turned for that.",
    "NumPy's copy of the array in C order",
    _rate(lambda array, _: lambda: np.ascontiguousarray(array)),
)
_COPY = Bound(
    "Values are read and written, flags or positions beside them.",
    "NumPy's copy of the array",
    _rate(lambda array, _: lambda: array.copy()),
)
_FULL = Bound(_EDGES, "a call on the full tiles alone, counted as all", _rate(_full_tiles))
_PROVE = Bound(_PROOF, "NumPy fills a new mask and new arrays of a certificate",
               _rate(_certificate_written))  # fmt: skip

# By the start of a case's name; the first that fits counts.
BOUNDS: dict[str, Bound] = {
    "one tile": Bound(_SMALL, "NumPy's `abs` of the tile",
                      _rate(lambda array, _: lambda: np.abs(array))),
    "64 x 64": Bound(_SMALL, "a call on one tile of it, counted as all", _rate(_one_tile)),
    "100 x 100": _FULL,
    "batch of 100 x 100": _FULL,
    "batch of 36 layers": Bound(
        "Memory: the rows of a tile share a page, where the hardware foresees only one of them.",
        "the same call on an eighth, which stays in the cache", _in_the_cache),
    "m = 3,": Bound(f"{_LANES} m = 3 has no closed form, as the headline of 2:4 has.",
                    "the headline, times the share of lanes at work", _lanes_at_work),
    "m = ": Bound(_LANES, "the headline, times the share of lanes at work", _lanes_at_work),
    "`return_certificate": _PROVE,
    "`compress(axis=-2)": _TURN,
    "`decompress(axis=-2)": _TURN,
    "`compress`": _COPY,
    "`decompress`": _COPY,
    "`retained_score`,": Bound("Values and flags are read.", _COPY.what, _COPY.measure),
    "`retained_score` in Fortran order": _TURN_SUMS,
    "two threads": Bound("Two processors of this machine do not give twice what one gives.",
                         "two calls at once, each of one thread on a half", _rate(_two_calls)),
    "12 decades": Bound("16 bits are too few for its tiles, which are swept in float.",
                        "half of the headline: as many floats as fit", _half_the_lanes),
    "`identity` of -1 and 1": Bound(_TIES, f"{_ATTEMPT.what}, of 0 and 1",
                                    partial(_first_attempt, change=lambda w: np.maximum(w, 0))),
    "int8, `out=` in Fortran order": Bound("Flags are turned around, block by block.",
                                           "NumPy's `not_equal`, `out=` in Fortran order",
                                           _rate(partial(_looking, order="F"))),
}  # fmt: skip
BY_GROUP: dict[str, Bound] = {
    "values": _ATTEMPT, "dtype": _ATTEMPT,
    **dict.fromkeys(("layout", "batch", "convolution", "row-wise", "shape"), _LOOK),
}  # fmt: skip


def bound_of(group: str, case: str) -> Bound | None:
    """Return what bounds a case, or None if nobody looked into it."""
    named = (bound for name, bound in BOUNDS.items() if case.startswith(name))
    return next(named, BY_GROUP.get(group))
