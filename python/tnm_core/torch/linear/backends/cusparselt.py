"""2:4 products in hardware, through torch's cuSPARSELt operators."""

from __future__ import annotations

from dataclasses import replace

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.linear.backends.algorithms import ALGORITHMS, Algorithm, ProductKey
from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.packing import Packed, PackedPair, nothing_packed
from tnm_core.torch.linear.speed_table import SpeedTable
from tnm_core.torch.tensors import keep

_PATTERN = Pattern(2, 4)
_DTYPES = (torch.float16, torch.bfloat16)
_WEIGHT_MULTIPLE = 16  # both sides of a sparse operand of 16-bit elements
_TOKENS_MULTIPLE = 8  # the free side of the dense operand
_ALIGNMENT = 16  # bytes
_LEAST_CAPABILITY = (8, 0)


class CusparseltBackend(Backend):
    """Compress W and, of transposable masks, its transpose separately, and multiply by either.

    Operands are contiguous and the tokens are padded with zeros to a multiple of 8. The first
    product of a shape searches the fastest algorithm, unless a `SpeedTable` tells it.
    """

    name = "cusparselt"

    def unsupported_reason(self, spec: LinearSpec) -> str | None:
        """Support 2:4 alone, and sides that are multiples of 16."""
        if spec.pattern.pair != _PATTERN.pair:
            expected = replace(_PATTERN, transposable=spec.pattern.transposable)
            return f"pattern {spec.pattern}, expected {expected}, the only one in hardware"
        sides = {"out_features": spec.out_features, "in_features": spec.in_features}
        for side, size in sides.items():
            if size % _WEIGHT_MULTIPLE:
                return f"{side} is {size}, expected a multiple of {_WEIGHT_MULTIPLE}"
        return None

    def unavailable_reason(self, spec: LinearSpec) -> str | None:
        """Need a CUDA device of capability 8.0, cuSPARSELt in torch, and a 16-bit dtype."""
        reason = _device_reason(spec.device)
        if reason is None and spec.dtype not in _DTYPES:
            return (
                f"products are in {spec.dtype_name}, expected float16 or bfloat16: "
                "convert the model with .to(torch.bfloat16), run it under torch.autocast, or give "
                "compute_dtype=torch.bfloat16"
            )
        return reason

    def pack(
        self, weight: torch.Tensor, mask: torch.Tensor, spec: LinearSpec, *, both: bool = True
    ) -> PackedPair:
        """Compress both orientations where a mask has both; positions are part of the values.

        Masked once, transposed once: the compressing operator reads memory row after row.
        ``torch._sparse_semi_structured_tile`` would do all in one kernel, but it chooses entries by
        itself, largest first: given the masked weight it would choose those of the mask, unless one
        of them is NaN, which its sorting does not expect. Also it takes sides that are multiples of
        128 alone, and writes positions in an order that torch found by trying, which differs
        between versions of cuSPARSELt.
        """
        kept = keep(weight, mask).contiguous()
        no_indices = torch.empty((0, 0), dtype=torch.uint8, device=weight.device)
        packed = Packed(torch._cslt_compress(kept), no_indices)
        if not spec.pattern.transposable:
            return packed, nothing_packed(weight, spec.dtype)[1]
        return packed, Packed(torch._cslt_compress(kept.t().contiguous()), no_indices.clone())

    def product(
        self, rows: torch.Tensor, packed: Packed, bias: torch.Tensor | None, n: int, m: int
    ) -> torch.Tensor:
        """Multiply once, the result written transposed so that it is (tokens, f)."""
        tokens, columns = rows.shape
        padding = -tokens % _TOKENS_MULTIPLE
        dense = torch.nn.functional.pad(rows, (0, 0, 0, padding)) if padding else _aligned(rows)
        bias = None if bias is None else _aligned(bias)
        features = packed.values.numel() * 16 // (9 * columns)
        algorithm = ALGORITHMS.find(
            _key(rows.device, rows.dtype, features, columns, tokens), packed.values, dense.t()
        )
        result = torch._cslt_sparse_mm(
            packed.values, dense.t(), bias, None, None, True, *algorithm.options
        )
        return result.narrow(0, 0, tokens).contiguous() if padding else result


def known_algorithms(spec: LinearSpec, tokens: int) -> tuple[Algorithm, ...] | None:
    """Return the algorithms of a layer's sparse products, forward first, if all were searched."""
    found = [ALGORITHMS.get(key) for key in _keys(spec, tokens)]
    return None if None in found else tuple(found)  # type: ignore[arg-type]


def tell_algorithms(spec: LinearSpec, speeds: SpeedTable) -> None:
    """Let products of a layer use the algorithms that were found when its speed was measured."""
    for speed in speeds.of(spec, CusparseltBackend.name):
        for key, algorithm in zip(_keys(spec, speed.tokens), speed.algorithms or (), strict=False):
            ALGORITHMS.tell(key, Algorithm(*algorithm))


def _keys(spec: LinearSpec, tokens: int) -> tuple[ProductKey, ...]:
    """Return the keys of forward product and, where that is sparse, too, input gradient."""
    rows, columns = spec.out_features, spec.in_features
    forward = _key(spec.device, spec.dtype, rows, columns, tokens)
    if not spec.pattern.transposable:
        return (forward,)
    return forward, _key(spec.device, spec.dtype, columns, rows, tokens)


def _key(
    device: torch.device, dtype: torch.dtype, rows: int, columns: int, tokens: int
) -> ProductKey:
    padded = tokens + -tokens % _TOKENS_MULTIPLE
    return ProductKey(device, dtype, rows, columns, padded.bit_length())


def _aligned(tensor: torch.Tensor) -> torch.Tensor:
    """Make an operand contiguous, and let it begin where vector loads may: views need not."""
    dense = tensor.contiguous()
    return dense if dense.data_ptr() % _ALIGNMENT == 0 else dense.clone()


def _device_reason(device: torch.device) -> str | None:
    if device.type != "cuda":
        return f"the weight is on {device}, expected a CUDA device: move the model with .to('cuda')"
    library = getattr(torch.backends, "cusparselt", None)
    if library is None or not library.is_available():
        return "this build of torch has no cuSPARSELt: install a CUDA build with it"
    capability = torch.cuda.get_device_capability(device)
    if capability < _LEAST_CAPABILITY:
        found = ".".join(map(str, capability))
        return f"the GPU has compute capability {found}, expected 8.0 or above"
    return None
