"""Checking the arguments of counts."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from tnm_core.arguments import as_choice, as_integer, as_threads
from tnm_core.counting.errors import CountTooCostlyError
from tnm_core.pattern import Pattern

Constraint = Literal["transposable", "transposable_at_most", "rowwise", "unstructured"]

Progress = Callable[[float], None]
CheckpointPath = str | os.PathLike[str]

LARGEST_SIDE = 1024


class Resources(NamedTuple):
    """The time, threads and files that a call may use."""

    max_seconds: float = math.inf
    threads: int = 1
    progress: Progress | None = None
    checkpoint: CheckpointPath | None = None


def as_constraint(constraint: str | None, pattern: Pattern) -> Constraint:
    """Return the name of a constraint whose masks can be counted, by default by the pattern."""
    if constraint is None:
        return "transposable" if pattern.transposable else "rowwise"
    name: Constraint = as_choice("constraint", constraint, get_args(Constraint))
    if not pattern.transposable and name != "rowwise":
        raise ValueError(
            f"constraint is {name!r} and the pattern '{pattern}', expected 'rowwise' or the "
            f"pattern '{pattern.ratio}'"
        )
    return name


def as_shape(shape: Sequence[int] | None, m: int) -> tuple[int, ...]:
    """Return the shape of the masks: one tile unless given; at least two axes."""
    if shape is None:
        return (m, m)
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable):
        raise TypeError(f"shape is {shape!r}, expected a sequence of integers, such as (512, 768)")
    sizes = tuple(as_integer(f"shape[{axis}]", size) for axis, size in enumerate(shape))
    if len(sizes) < 2:
        raise ValueError(f"shape is {sizes}, expected at least 2 axes: the last two are the matrix")
    if min(sizes) < 0:
        raise ValueError(f"shape is {sizes}, expected sizes of at least 0")
    return sizes


def as_margin(name: str, sums: Iterable[int], largest: int) -> list[int]:
    """Return row or column sums: integers from 0 to the length of the other side."""
    if isinstance(sums, (str, bytes)) or not isinstance(sums, Iterable):
        raise TypeError(f"{name} is {sums!r}, expected a sequence of integers")
    checked = [as_integer(f"{name}[{k}]", value) for k, value in enumerate(sums)]
    if len(checked) > LARGEST_SIDE:
        raise ValueError(f"{name} has {len(checked)} entries, expected at most {LARGEST_SIDE}")
    for k, value in enumerate(checked):
        if not 0 <= value <= largest:
            raise ValueError(f"{name}[{k}] is {value}, expected 0 to {largest}, the other side")
    return checked


def as_resources(
    max_seconds: float,
    threads: int | None,
    progress: Progress | None,
    checkpoint: CheckpointPath | None,
) -> Resources:
    """Return what a call may use: all cores unless told otherwise, for counts are long."""
    workers = as_threads(threads, sys.maxsize)
    return Resources(_as_seconds(max_seconds), workers, progress, checkpoint)


def _as_seconds(max_seconds: float) -> float:
    if isinstance(max_seconds, bool):
        raise TypeError(f"max_seconds is {max_seconds} (bool), expected a number of seconds")
    try:
        seconds = float(max_seconds)
    except (TypeError, ValueError):
        raise TypeError(f"max_seconds is {max_seconds!r}, expected a number of seconds") from None
    if math.isnan(seconds) or seconds < 0:
        raise ValueError(f"max_seconds is {seconds}, expected at least 0, or math.inf for no limit")
    return seconds


def check_cost(what: str, seconds: float, limit: float) -> None:
    """Raise if a count takes longer than allowed."""
    if seconds <= limit:
        return
    raise CountTooCostlyError(
        f"counting {what} is predicted to take {_spell_seconds(seconds)}, expected at most "
        f"max_seconds = {limit:g}; allow it with max_seconds={_round_up(seconds):g}, or use "
        "tnm_core.counting.estimate",
        seconds,
    )


def _spell_seconds(seconds: float) -> str:
    for unit, length in (("years", 31557600.0), ("days", 86400.0), ("hours", 3600.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _round_up(seconds: float) -> float:
    """Add half as much, rounded to two digits: predictions are not exact."""
    if math.isinf(seconds):
        return seconds
    digits = 10.0 ** (math.floor(math.log10(1.5 * seconds)) - 1)
    return float(math.ceil(1.5 * seconds / digits) * digits)
