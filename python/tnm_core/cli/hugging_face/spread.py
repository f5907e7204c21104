"""Some of many, spread evenly over them."""

from __future__ import annotations


def evenly_spread(count: int, most: int) -> list[int]:
    """Return at most so many of the numbers below `count`, in order: the first, and every k-th."""
    wanted = min(count, most)
    return [index * count // wanted for index in range(wanted)]
