"""What the masks of a model did while it trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.layers import MaskedWeight


@dataclass(frozen=True)
class MaskStatistics:
    """One refresh of one layer's mask.

    Attributes
    ----------
    step : int
        Optimizer steps so far.
    layer : str
        Its name.
    pattern : str
        Of the new mask.
    sad : int
        Sparse architecture divergence: entries in which the new mask differs from the one before
        (Zhou et al., ICLR 2021).
    flip_rate : float
        The same as a share of all entries.
    retained : float
        Share of the total score that the new mask keeps.
    density : float
        Share of the entries that it keeps.
    """

    step: int
    layer: str
    pattern: str
    sad: int
    flip_rate: float
    retained: float
    density: float


def compare_masks(
    step: int, weight: MaskedWeight, mask: torch.Tensor, pattern: Pattern, sums: torch.Tensor
) -> MaskStatistics:
    """Record a refresh, given the new mask and the sums of the kept scores and of all."""
    kept, total = sums.tolist()
    changed, held = torch.count_nonzero(weight.mask ^ mask), torch.count_nonzero(mask)
    sad, count = torch.stack((changed, held)).tolist()
    entries = max(mask.numel(), 1)
    return MaskStatistics(
        step=step,
        layer=weight.name,
        pattern=str(pattern),
        sad=sad,
        flip_rate=sad / entries,
        retained=kept / total if total else 1.0,
        density=count / entries,
    )
