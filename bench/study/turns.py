"""Speeds of two models from the seconds that they took in turns."""

from __future__ import annotations

from bench.products.rounds import Timing

TIMES_DENSE = "times dense"


def rates(name: str, count: int, dense: Timing, packed: Timing) -> dict[str, float]:
    """Return so many samples by the fastest seconds of the packed model, and compare the two."""
    return {name: count / packed.best, TIMES_DENSE: dense.best / packed.best}
