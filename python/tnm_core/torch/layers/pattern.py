"""Reading patterns: ``"2:4"`` or ``(2, 4)``."""

from __future__ import annotations

import re
from typing import NamedTuple

from tnm_core import arguments as arguments

__all__ = ["Pattern", "parse_pattern"]


class Pattern(NamedTuple):
    """``n`` of ``m`` are kept."""

    n: int
    m: int

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


def parse_pattern(pattern: str | tuple[int, int]) -> Pattern:
    """Return n and m of a pattern, with 1 <= n <= m <= 128."""
    if isinstance(pattern, tuple) and len(pattern) == 2:
        return Pattern(*arguments.pattern(*pattern))
    if not isinstance(pattern, str):
        raise TypeError(
            f"pattern is a {type(pattern).__name__}, expected text such as '2:4' or a pair (2, 4)"
        )
    match = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4})", pattern.strip())
    if match is None:
        raise ValueError(f"pattern is {pattern!r}, expected n:m (n of m are kept), such as '2:4'")
    return Pattern(*arguments.pattern(int(match[1]), int(match[2])))
