"""Products with the packed weight on the CPU: any mask, any shape."""

from __future__ import annotations

import torch

from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.packed_buffers import (
    DTYPES,
    dtype_of,
    multiply,
    pack_matrix,
    rows_of,
    update_matrix_,
)
from tnm_core.torch.linear.packing import Packed, PackedPair


class CpuBackend(Backend):
    """Keep W in one tensor of bytes, values and positions, and its transpose in another."""

    name = "cpu"

    def unavailable_reason(self, spec: LinearSpec) -> str | None:
        """Need the CPU, and a dtype of at most 32 bits."""
        if spec.device.type != "cpu":
            return f"the weight is on {spec.device}, expected the CPU: move the model with .cpu()"
        if spec.dtype not in DTYPES.values():
            return (
                f"products are in {spec.dtype_name}, expected float32, bfloat16 or float16: "
                "convert the model with .float(), or give compute_dtype=torch.float32"
            )
        return None

    def pack(
        self, weight: torch.Tensor, mask: torch.Tensor, spec: LinearSpec, *, both: bool = True
    ) -> PackedPair:
        """Pack W, and its transpose if both are wanted."""
        other = pack_matrix(weight.t(), mask.t()) if both else _no_bytes()
        return Packed(pack_matrix(weight, mask), _no_bytes()), Packed(other, _no_bytes())

    def update_(self, packed: PackedPair, weight: torch.Tensor) -> bool:
        """Write values where they belong: a small part of what packing costs."""
        for one, matrix in zip(packed, (weight, weight.t()), strict=True):
            if one.values.numel():
                update_matrix_(one.values, matrix)
        return True

    def product(
        self, rows: torch.Tensor, packed: Packed, bias: torch.Tensor | None, n: int, m: int
    ) -> torch.Tensor:
        """Multiply once; the bias is added on the way."""
        return multiply(rows, packed.values, bias, rows_of(packed.values))

    def dtype_of(self, packed: Packed) -> torch.dtype:
        """Ask the bytes."""
        return dtype_of(packed.values)


def _no_bytes() -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8)
