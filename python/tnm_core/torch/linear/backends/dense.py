"""The masked product as it stands: any device, any floating dtype, no gain in speed."""

from __future__ import annotations

import torch

from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.packing import Packed, PackedPair, nothing_packed


class DenseBackend(Backend):
    """Multiply by W with zeros in it."""

    name = "dense"

    def pack(
        self, weight: torch.Tensor, mask: torch.Tensor, spec: LinearSpec, *, both: bool = True
    ) -> PackedPair:
        """Pack nothing: the product reads weight and mask."""
        return nothing_packed(weight, spec.dtype)

    def product(
        self, rows: torch.Tensor, packed: Packed, bias: torch.Tensor | None, n: int, m: int
    ) -> torch.Tensor:
        """Multiply once, densely."""
        return torch.nn.functional.linear(rows, packed.values, bias)
