"""The masked product as it stands: any device, any floating dtype, no gain in speed."""

from __future__ import annotations

import torch

from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.packing import Packed, PackedPair, nothing_packed


class DenseBackend:
    """Multiply by W with zeros in it."""

    name = "dense"

    def unsupported_reason(self, spec: LinearSpec) -> str | None:
        """Support any pattern and shape."""
        return None

    def unavailable_reason(self, spec: LinearSpec) -> str | None:
        """Be available on any device, in any dtype."""
        return None

    def pack(self, weight: torch.Tensor, mask: torch.Tensor, spec: LinearSpec) -> PackedPair:
        """Pack nothing: the product reads weight and mask."""
        return nothing_packed(weight, spec.dtype)

    def product(
        self,
        rows: torch.Tensor,
        packed: Packed,
        masked_weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        pattern: tuple[int, int],
    ) -> torch.Tensor:
        """Multiply once, densely."""
        assert masked_weight is not None
        return torch.nn.functional.linear(rows, masked_weight, bias)
