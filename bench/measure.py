"""Timing a call: warm-up, repeats, median and best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

SLOW_CALL = 0.5
LEAST_REPEATS = 3
MOST_REPEATS = 200


@dataclass(frozen=True)
class Timing:
    """Seconds per call."""

    median: float
    best: float
    repeats: int

    def record(self, entries: int) -> dict[str, float | int]:
        """Give rates in million entries per second."""
        return {
            "rate": entries / self.median / 1e6,
            "best_rate": entries / self.best / 1e6,
            "seconds": self.median,
            "repeats": self.repeats,
        }


def time_once(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def time_call(call: Callable[[], object], seconds: float) -> Timing:
    """Repeat for about so many seconds after one call that is not counted."""
    slow = time_once(call) > SLOW_CALL
    least = 1 if slow else LEAST_REPEATS
    times: list[float] = []
    while len(times) < least or (sum(times) < seconds and len(times) < MOST_REPEATS):
        times.append(time_once(call))
    return Timing(median(times), min(times), len(times))
