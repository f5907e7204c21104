"""Timing calls in turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from bench.measure import LEAST_REPEATS, Timing, time_once

# Long enough for caches to hold what a small call reads, from its second repeat on.
TURN = 0.004
MOST_IN_A_TURN = 100


def time_in_turns(
    calls: Sequence[Callable[[], object]], seconds: float, *, cold: bool = False
) -> list[Timing]:
    """Give each call about so many seconds, a few repeats in each of its turns.

    One call of each is not counted. If `cold`, a turn is one call and nobody leaves early, so that
    all others come between two calls.
    """
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    waiting = list(range(len(calls)))
    while waiting:
        for index in waiting:
            _take_turn(calls[index], times[index], 1 if cold else MOST_IN_A_TURN)
        short = [len(found) < LEAST_REPEATS or sum(found) < seconds for found in times]
        if cold:
            unfinished = sum(map(sum, times)) < seconds * len(calls)
            short = [unfinished or len(times[0]) < LEAST_REPEATS] * len(calls)
        waiting = [index for index, goes_on in enumerate(short) if goes_on]
    return [Timing(median(found), min(found), len(found)) for found in times]


def _take_turn(call: Callable[[], object], times: list[float], most: int) -> None:
    spent = 0.0
    for _ in range(most):
        times.append(time_once(call))
        spent += times[-1]
        if spent >= TURN:
            return
