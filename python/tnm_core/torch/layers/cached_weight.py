"""The masked weight of a layer in evaluation, kept until the weight or its mask changes."""

from __future__ import annotations

import torch
from torch import nn

from tnm_core.torch.tensors import Snapshot, counted_steps, keep


class CachedWeight:
    """Keeps one masked weight, which takes as much memory as the dense one.

    Copies and pickles of it are empty, so that copies of a layer make their own.
    """

    def __init__(self) -> None:
        self._entry: _Entry | None = None
        self._was_written = False

    def __reduce__(self) -> tuple[type[CachedWeight], tuple[()]]:
        return CachedWeight, ()

    def clear(self) -> None:
        """Forget the masked weight, but not that somebody wrote into it."""
        self._was_written |= self._entry is not None and self._entry.is_written
        self._entry = None

    def found_write(self) -> bool:
        """Tell once whether somebody wrote into the masked weight that was given out."""
        if self._entry is not None and self._entry.is_written:
            self.clear()
        found, self._was_written = self._was_written, False
        return found

    def masked(self, weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the weight with zeros where the mask drops, without a gradient."""
        entry = self._entry
        if entry is None or not entry.is_of(weight, mask):
            # Released first: two masked weights at a time would be one too many.
            self._entry = None
            self._entry = entry = _Entry(weight, mask)
        return entry.masked


class _Entry:
    """A masked weight, and what it was made from."""

    def __init__(self, weight: torch.Tensor, mask: torch.Tensor) -> None:
        self._weight, self._mask = Snapshot(weight), Snapshot(mask)
        self._steps = counted_steps()
        self._steps.count_for(weight)
        # Inference tensors could not be saved for gradients by the inputs later.
        with torch.inference_mode(False), torch.no_grad():
            self.masked = keep(weight, mask)
        self._version = self.masked._version

    def is_of(self, weight: torch.Tensor, mask: torch.Tensor) -> bool:
        """Tell whether these are the same."""
        return self._weight.is_of(weight) and self._mask.is_of(mask)

    @property
    def is_written(self) -> bool:
        """Whether somebody wrote into what was given out."""
        return self.masked._version != self._version


def may_be_cached(weight: torch.Tensor, mask: torch.Tensor) -> bool:
    """Tell whether changes of a weight would be noticed, and no gradient by it is wanted."""
    # What is recorded has to mask the weights that it will be given.
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return False
    return (
        # Subclasses, and what transforms of functions wrap, have no memory of their own.
        type(weight) is nn.Parameter
        and not (torch.is_grad_enabled() and weight.requires_grad)
        and not (weight.is_inference() or mask.is_inference() or weight.is_meta)
        # FSDP gathers weights into memory that it frees after use, and moves no counter.
        and not (torch.distributed.is_available() and torch.distributed.is_initialized())
    )
