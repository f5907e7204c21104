"""CPU tensors as NumPy arrays, and the solver on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import tnm_core
from tnm_core.arguments import Method, Score
from tnm_core.pattern import Pattern

_SHARED = frozenset(
    {
        torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
        torch.int8, torch.int16, torch.int32, torch.int64,
        torch.float16, torch.float32, torch.float64,
    }
)  # fmt: skip
_EXPECTED = "bool, integers of 8 to 64 bits, float8, float16, bfloat16, float32 or float64"


def check_scores(tensor: torch.Tensor, *, least_axes: int, of_arrays: str) -> None:
    """Refuse what holds no scores: other types, layouts, dtypes, and tensors without data.

    `of_arrays` names the function that takes arrays.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(
            f"tensor is a {type(tensor).__name__}, expected a torch tensor; {of_arrays} takes "
            "arrays"
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
    if tensor.ndim < least_axes:
        why = "the matrix is two of them" if least_axes == 2 else "groups run along one"
        raise ValueError(
            f"tensor has {tensor.ndim} axes (shape {tuple(tensor.shape)}), expected at least "
            f"{least_axes}: {why}; reshape it first"
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


@dataclass(frozen=True)
class HostSolver:
    """Finds masks of CPU tensors: their last two axes are the matrix, the last axis is the row.

    Attributes
    ----------
    method : {"optimal", "two_approximation", "greedy"}
        Of transposable masks.
    known_finite : bool
        Whether somebody looked already that scores are finite; on the host it is seen on the way.
    """

    pattern: Pattern
    score: Score
    method: Method = "optimal"
    threads: int | None = None
    known_finite: bool = False

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """Find the mask of such a tensor."""
        array, n, m = array_of(tensor), self.pattern.n, self.pattern.m
        options: dict[str, Any] = {"score": self.score, "threads": self.threads}
        if self.pattern.transposable:
            mask = tnm_core.transposable_mask(array, n, m, method=self.method, **options)
        else:
            mask = tnm_core.nm_mask(array, n, m, **options)
        return torch.from_numpy(np.ascontiguousarray(mask))


def _is_float8(dtype: torch.dtype) -> bool:
    return str(dtype).startswith("torch.float8_")
