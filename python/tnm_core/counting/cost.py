"""How long a count takes, said beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from time import thread_time

from tnm_core import _core
from tnm_core.pattern import PatternLike, as_transposable

_GROUP = 8
# Nanoseconds for one vector operation of a group that no machine is expected to exceed.
_SLOWEST = 3.0
# A machine is measured by this count, which takes some milliseconds.
_MEASURED = (18, 18, 9, 9)
_OVERHEAD = 2e-4


@dataclass(frozen=True)
class PredictedCost:
    """What the exact count of one tile takes.

    Attributes
    ----------
    seconds : float
        CPU seconds, on one core like this one, with the instruction set in use.
    evaluations : float
        Multisets of roots of unity that are evaluated, for each prime.
    primes : int
        How many primes.
    table_bytes : float
        Memory for tables.
    limited_by : str
        What makes the count long or impossible, in words.
    """

    seconds: float
    evaluations: float
    primes: int
    table_bytes: float
    limited_by: str


def predicted_cost(n: PatternLike | int, m: int | None = None) -> PredictedCost:
    """Predict the CPU time of ``mask_diversity(n, m)``, within about 20 % from 0.1 s on.

    The number of operations is known; how long one takes is measured once in each process, in
    about 20 milliseconds.

    Parameters
    ----------
    n, m : int
        The pattern, n of m kept; 1 <= n <= m <= 128. In place of both n may be a pattern, such as
        ``"2:4"``.

    Returns
    -------
    PredictedCost

    Raises
    ------
    TypeError, ValueError
        For a pattern that is none, or row-wise.

    Examples
    --------
    >>> from tnm_core.counting import predicted_cost
    >>> predicted_cost(4, 8).seconds < 1 < 3600 < predicted_cost(20, 40).seconds
    True
    """
    n, m = as_transposable(n, m).pair
    if n == m:
        return PredictedCost(0.0, 0.0, 0, 0.0, "nothing: there is one mask")
    counter = _core.RegularCounter(m, m, n, n)
    primes = len(counter.primes)
    seconds = regular_seconds(counter, 0.0)
    limit = (
        f"time: {counter.evaluations:.3g} multisets of roots of unity modulo each of {primes} "
        "primes"
    )
    return PredictedCost(seconds, counter.evaluations, primes, counter.table_bytes, limit)


def regular_seconds(counter: _core.RegularCounter, limit: float) -> float:
    """Predict a count; without measuring if it is below the limit on any machine."""
    operations = counter.operations * len(counter.primes) / _GROUP
    slowest = 1e-9 * _SLOWEST * operations
    return slowest if slowest <= limit else _OVERHEAD + _seconds_of_operation() * operations


@lru_cache(maxsize=1)
def _seconds_of_operation() -> float:
    counter = _core.RegularCounter(*_MEASURED)
    best = math.inf
    for attempt in range(3):
        counter.start_pass(attempt % counter.classes)
        started = thread_time()
        counter.add_slices(0, counter.slices, [0] * _GROUP, 1)
        best = min(best, (thread_time() - started) * counter.classes / counter.operations)
    return best
