"""The masked product as it stands: any device, any floating dtype, no gain in speed."""

from __future__ import annotations

import torch

from tnm_core.torch.linear.backends.base import Task
from tnm_core.torch.linear.packing import Packed, PackedPair, nothing_packed


class DenseBackend:
    """Multiply by W with zeros in it."""

    name = "dense"

    def objection(self, task: Task) -> str | None:
        """Find nothing to object to: any pattern and shape can be multiplied."""
        return None

    def obstacle(self, task: Task) -> str | None:
        """Find nothing in the way: any device and dtype can be multiplied."""
        return None

    def pack(self, weight: torch.Tensor, mask: torch.Tensor, task: Task) -> PackedPair:
        """Pack nothing: the product reads weight and mask."""
        return nothing_packed(weight, task.dtype)

    def product(
        self,
        rows: torch.Tensor,
        packed: Packed,
        masked_weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        pattern: tuple[int, int],
    ) -> torch.Tensor:
        """One dense product."""
        assert masked_weight is not None
        return torch.nn.functional.linear(rows, masked_weight, bias)
