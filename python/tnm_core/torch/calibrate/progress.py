"""Telling how far pruning is."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tnm_core.torch.calibrate.prune_report import PrunedLayer, TunedBlock

__all__ = ["Progress", "announcer"]

# Gets a layer that is pruned, or a block that is tuned, how many layers are done, and how many
# there are.
Progress = Callable[[PrunedLayer | TunedBlock, int, int], None]


def announcer(progress: bool | Progress) -> Progress:
    """Return what to call after each layer, and after each block that is tuned."""
    if callable(progress):
        return progress
    if not isinstance(progress, bool):
        raise TypeError(
            f"progress is a {type(progress).__name__}, expected a bool or a function of layer, "
            "number done and number of all"
        )
    return _print if progress else _say_nothing


def _print(one: PrunedLayer | TunedBlock, done: int, total: int) -> None:
    if isinstance(one, TunedBlock):
        told = f"tuned, error {one.error_before:.4f} to {one.error:.4f},"
    else:
        told = f"{one.pattern}," + ("" if one.error is None else f" error {one.error:.4f},")
    name = one.name or "(the model)"
    print(f"[{done}/{total}] {name}: {told} {one.seconds:.1f} s", file=sys.stderr, flush=True)


def _say_nothing(one: PrunedLayer | TunedBlock, done: int, total: int) -> None:
    """Nobody wants to know."""
