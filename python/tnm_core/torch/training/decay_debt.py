"""Decay that is too small for a dtype, saved up until it is not."""

from __future__ import annotations

import torch

# A share that is less than this many spacings of numbers would be rounded away, or to twice itself.
_SPACINGS = 4


class Debt:
    """The share of a weight's pruned entries that is still to be taken off.

    Attributes
    ----------
    share : float or 0-D Tensor
        A tensor once a device alone knows of a step whether it was left out.
    """

    def __init__(self, share: float = 0.0) -> None:
        self.share: float | torch.Tensor = share

    def add(self, share: float | torch.Tensor, left_out: torch.Tensor | bool) -> None:
        """Owe more, unless the step is left out."""
        if isinstance(left_out, torch.Tensor):
            share = torch.where(left_out, 0.0, torch.as_tensor(share, device=left_out.device))
        elif left_out:
            return
        self.share = self.share + share

    def take(self, dtype: torch.dtype) -> float | torch.Tensor | None:
        """Return what is worth taking off numbers of a dtype now; None for nothing."""
        least = _SPACINGS * torch.finfo(dtype).eps
        owed = self.share
        if not isinstance(owed, torch.Tensor):
            if owed < least:
                return None
            self.share = 0.0
            return owed
        # Only the device knows whether it is enough, and nobody waits for it.
        due = torch.where(owed < least, 0.0, owed)
        self.share = owed - due
        return due
