"""Patterns that change while a model trains."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import replace

from tnm_core.pattern import Pattern, PatternLike, as_pattern

# First step -> pattern from there on, "dense" for none.
ScheduleLike = Mapping[int, PatternLike]


def cubic_schedule(pattern: PatternLike, begin: int, end: int) -> dict[int, str]:
    """Lower the number of kept entries from m to n of m along a cubic curve.

    The density at step t is d + (1 - d) (1 - (t - begin) / (end - begin))^3 with d = n / m, rounded
    up to whole entries: fast at first, slow towards the end.

    Parameters
    ----------
    pattern : str, pair of int, or Pattern
        Where it ends, such as ``"4:8"`` or ``"row 4:8"``; a larger m gives finer steps.
    begin, end : int
        Optimizer steps; dense before `begin`, `pattern` from `end` on.

    Returns
    -------
    dict of int to str
        First step of each pattern, for `DynamicMask`.

    Notes
    -----
    The curve is that of Zhu and Gupta, "To prune, or not to prune" (2017), section 3.

    Examples
    --------
    >>> from tnm_core.torch import cubic_schedule
    >>> cubic_schedule("4:8", 100, 500)
    {0: 'dense', 137: '7:8', 183: '6:8', 249: '5:8', 500: '4:8'}
    """
    last = as_pattern(pattern)
    n, m = last.n, last.m
    begin, end = operator.index(begin), operator.index(end)
    if not 0 <= begin < end:
        raise ValueError(f"begin, end are {begin}, {end}, expected 0 <= begin < end")
    schedule = {0: "dense"}
    for kept in range(m - 1, n - 1, -1):
        left = (kept - n) / (m - n)
        schedule[end - math.floor((end - begin) * left ** (1 / 3))] = str(replace(last, n=kept))
    return schedule


def parse_schedule(schedule: ScheduleLike) -> tuple[tuple[int, Pattern | None], ...]:
    """Return steps and patterns in order, None for dense."""
    if not isinstance(schedule, Mapping):
        raise TypeError(
            f"schedule is a {type(schedule).__name__}, expected a mapping of steps to patterns, "
            "such as {0: 'dense', 1000: '4:8', 3000: '2:4'}"
        )
    steps = {operator.index(step): pattern for step, pattern in schedule.items()}
    if min(steps, default=-1) != 0:
        raise ValueError(
            f"schedule begins at step {min(steps, default=None)}, expected a pattern for step 0; "
            "write 0: 'dense' to begin with none"
        )
    return tuple(
        (step, None if steps[step] == "dense" else as_pattern(steps[step]))
        for step in sorted(steps)
    )


def pattern_at(schedule: tuple[tuple[int, Pattern | None], ...], step: int) -> Pattern | None:
    """Return the pattern that holds at a step, None for dense."""
    return next(pattern for first, pattern in reversed(schedule) if first <= step)
