"""CPU tensors as NumPy arrays, and the solver on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import tnm_core
from tnm_core.arguments import Method, Score

__all__ = ["array_of", "require_scores", "solve_on_host"]

_SHARED = frozenset(
    {
        torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
        torch.int8, torch.int16, torch.int32, torch.int64,
        torch.float16, torch.float32, torch.float64,
    }
)  # fmt: skip
_EXPECTED = "bool, integers of 8 to 64 bits, float8, float16, bfloat16, float32 or float64"


def require_scores(tensor: torch.Tensor) -> None:
    """Refuse what holds no scores: other types, layouts, dtypes, and tensors without data."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(
            f"tensor is a {type(tensor).__name__}, expected a torch tensor; "
            "tnm_core.transposable_mask takes arrays"
        )
    if tensor.layout is not torch.strided:
        raise TypeError(
            f"tensor has layout {tensor.layout}, expected a strided tensor; call to_dense() first"
        )
    if tensor.is_quantized:
        raise TypeError(
            f"tensor is quantized ({tensor.dtype}), expected plain values; call dequantize() first"
        )
    dtype = tensor.dtype
    if dtype not in _SHARED and dtype is not torch.bfloat16 and not _is_float8(dtype):
        raise TypeError(
            f"tensor has dtype {dtype}, expected {_EXPECTED}; convert it first, for example with "
            "tensor.float()"
        )
    if tensor.is_meta:
        raise ValueError(
            "tensor is on the device meta and has no data, expected one with data; "
            "materialise and load it first"
        )
    if tensor.ndim < 2:
        raise ValueError(
            f"tensor has {tensor.ndim} axes (shape {tuple(tensor.shape)}), expected at least 2: "
            "the matrix is two of them; reshape it first"
        )


def array_of(tensor: torch.Tensor) -> NDArray[Any]:
    """View a CPU tensor as an array; only float8, which NumPy lacks, costs a copy."""
    values = tensor.detach()
    if values.dtype is torch.bfloat16:
        import ml_dtypes

        bits: NDArray[Any] = values.view(torch.uint16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    if _is_float8(values.dtype):
        values = values.to(torch.float32)
    array: NDArray[Any] = values.resolve_neg().numpy()
    return array


def solve_on_host(
    tensor: torch.Tensor, n: int, m: int, method: Method, score: Score, threads: int | None
) -> torch.Tensor:
    """Find the mask of a CPU tensor whose last two axes are the matrix."""
    mask = tnm_core.transposable_mask(
        array_of(tensor), n, m, method=method, score=score, threads=threads
    )
    return torch.from_numpy(np.ascontiguousarray(mask))


def _is_float8(dtype: torch.dtype) -> bool:
    return str(dtype).startswith("torch.float8_")
