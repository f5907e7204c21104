"""Telling how far pruning is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from tnm_core.torch.calibrate.model.prune_report import PrunedLayer, TunedBlock

_One = TypeVar("_One")

# Gets a layer that is pruned, or a block that is tuned, how many layers are done, and how many
# there are.
PruneProgress = Callable[[PrunedLayer | TunedBlock, int, int], None]


def announcer(progress: bool | PruneProgress) -> PruneProgress:
    """Return what to call after each layer, and after each block that is tuned."""
    return announcer_of(progress, _line)


def announcer_of(
    progress: bool | Callable[[_One, int, int], None], line: Callable[[_One], str]
) -> Callable[[_One, int, int], None]:
    """Return what to call after each layer; `line` says what to print of it."""
    if callable(progress):
        return progress
    if not isinstance(progress, bool):
        raise TypeError(
            f"progress is a {type(progress).__name__}, expected a bool or a function of layer, "
            "number done and number of all"
        )

    def announce(one: _One, done: int, total: int) -> None:
        if progress:
            print(f"[{done}/{total}] {line(one)}", file=sys.stderr, flush=True)

    return announce


def _line(one: PrunedLayer | TunedBlock) -> str:
    if isinstance(one, TunedBlock):
        told = f"tuned, error {one.error_before:.4f} to {one.error:.4f},"
    else:
        told = f"{one.pattern}," + ("" if one.error is None else f" error {one.error:.4f},")
    return f"{one.name or '(the model)'}: {told} {one.seconds:.1f} s"
