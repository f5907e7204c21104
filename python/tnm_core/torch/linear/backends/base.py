"""What a back end is: rules, packing and one product."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.packing import Packed, PackedPair


class Backend(ABC):
    """A way to multiply by a masked weight W and by its transpose."""

    name: str

    def unsupported_reason(self, spec: LinearSpec) -> str | None:
        """Say why this back end can never multiply by such a weight; None if it can.

        Speaks of the pattern and the shape alone.
        """
        return None

    def unavailable_reason(self, spec: LinearSpec) -> str | None:
        """Say what is in the way now, device or dtype, and what to do; None if nothing."""
        return None

    @abstractmethod
    def pack(
        self, weight: torch.Tensor, mask: torch.Tensor, spec: LinearSpec, *, both: bool = True
    ) -> PackedPair:
        """Pack the weight, already of the dtype of products, and its transpose.

        The transpose may stay empty if `both` is not wanted: only input gradients need it.
        """

    def update_(self, packed: PackedPair, weight: torch.Tensor) -> bool:
        """Write other values of the same mask into what is packed; False if this cannot do so."""
        return False

    def dtype_of(self, packed: Packed) -> torch.dtype:
        """Tell in which dtype products are computed with what is packed."""
        return packed.values.dtype

    @abstractmethod
    def product(
        self, rows: torch.Tensor, packed: Packed, bias: torch.Tensor | None, n: int, m: int
    ) -> torch.Tensor:
        """Multiply ``rows`` (tokens, k) by the transpose of what is packed (f, k): (tokens, f).

        The back end that packs nothing finds that matrix itself in place of its values.
        """
