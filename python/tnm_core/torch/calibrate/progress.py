"""Telling how far pruning is."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tnm_core.torch.calibrate.prune_report import PrunedLayer

__all__ = ["Progress", "announcer"]

# Gets a layer that is done, how many are done, and how many there are.
Progress = Callable[[PrunedLayer, int, int], None]


def announcer(progress: bool | Progress) -> Progress:
    """Return what to call after each layer."""
    if callable(progress):
        return progress
    if not isinstance(progress, bool):
        raise TypeError(
            f"progress is a {type(progress).__name__}, expected a bool or a function of layer, "
            "number done and number of all"
        )
    return _print if progress else _say_nothing


def _print(layer: PrunedLayer, done: int, total: int) -> None:
    error = "" if layer.error is None else f" error {layer.error:.4f},"
    told = f"[{done}/{total}] {layer.name}: {layer.pattern},{error} {layer.seconds:.1f} s"
    print(told, file=sys.stderr, flush=True)


def _say_nothing(layer: PrunedLayer, done: int, total: int) -> None:
    """Nobody wants to know."""
