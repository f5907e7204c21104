"""The compressed form multiplied by gathering: any n:m, any device, to check and not to be fast."""

from __future__ import annotations

import torch

from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.packing import Packed, PackedPair, compress, nothing_packed

_GATHERED_ENTRIES = 1 << 22  # at most 32 MiB of float64 gathered at a time


class EmulateBackend(Backend):
    """Multiply values by the inputs that their positions name; nothing is decompressed.

    Every output is a sum over the kept values of its row alone. Sums are in float32 for float16 and
    bfloat16, as they are in hardware, else in the dtype of the values.
    """

    name = "emulate"

    def pack(
        self, weight: torch.Tensor, mask: torch.Tensor, spec: LinearSpec, *, both: bool = True
    ) -> PackedPair:
        """Compress W along its rows, and separately along its columns if both are wanted."""
        packed = compress(weight, mask, spec.pattern, axis=-1)
        if not both:
            return packed, nothing_packed(weight, spec.dtype)[1]
        return packed, compress(weight, mask, spec.pattern, axis=-2)

    def product(
        self, rows: torch.Tensor, packed: Packed, bias: torch.Tensor | None, n: int, m: int
    ) -> torch.Tensor:
        """Gather inputs by position and contract them with the values, a few rows at a time."""
        kept = int(packed.indices.shape[1])
        exact = torch.float32 if rows.dtype in (torch.float16, torch.bfloat16) else rows.dtype
        # Positions in groups of m become positions in the whole row.
        columns = packed.indices.long() + torch.arange(kept, device=rows.device) // n * m
        # Zeros beyond the edge: fill positions of a last short group lie there.
        padding = (0, kept // n * m - rows.shape[1])
        inputs = torch.nn.functional.pad(rows.to(exact), padding).t().contiguous()
        values = packed.values.to(exact)
        result = inputs.new_empty((values.shape[0], rows.shape[0]))
        step = max(1, _GATHERED_ENTRIES // max(1, kept * rows.shape[0]))
        for first in range(0, values.shape[0], step):
            part = slice(first, first + step)
            gathered = inputs[columns[part]]  # (part, kept, tokens)
            result[part] = torch.bmm(values[part].unsqueeze(1), gathered).squeeze(1)
        if bias is not None:
            result += bias.to(exact).unsqueeze(1)
        return result.t().to(rows.dtype).contiguous()
