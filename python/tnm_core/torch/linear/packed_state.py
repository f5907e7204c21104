"""What a packed form was made from, and whether that has changed since.

It is kept beside the packed tensor, and not in it or in the layer: a custom op looks it up when it
runs, so that compiled graphs see nothing of it and never recompile because of it. It is found by
the tensor itself, and ends with it; with the last one ends what watches optimizers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from tnm_core.torch.tensors import Snapshot, counted_steps


class PackedFrom:
    """The weight and the mask that a layer packed, as they were then; errors name the `owner`."""

    def __init__(self, weight: torch.Tensor, mask: torch.Tensor, owner: str) -> None:
        self.owner = owner
        self._weight, self._mask = Snapshot(weight), Snapshot(mask)
        self._steps = counted_steps()
        self._steps.note_packed(weight)

    def is_current(self, weight: torch.Tensor, mask: torch.Tensor) -> bool:
        """Tell whether these are the same weight and mask, and unchanged."""
        return self._weight.is_of(weight) and self.is_of_mask(mask)

    def is_of_mask(self, mask: torch.Tensor) -> bool:
        """Tell whether this is the same mask, and unchanged."""
        return self._mask.is_of(mask)


_packed_from: Any = WeakTensorKeyDictionary()


def remember(values: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor, owner: str) -> None:
    """Keep what the values were packed from, as long as there are such values."""
    if values.numel():
        _packed_from[values] = PackedFrom(weight, mask, owner)


def packed_from(values: torch.Tensor) -> PackedFrom | None:
    """Return what the values were packed from; None if that is not known."""
    return _packed_from.get(values)  # type: ignore[no-any-return]
