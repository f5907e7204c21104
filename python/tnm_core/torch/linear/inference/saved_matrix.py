"""A sparse matrix as two tensors: its values in order of rows, and one bit for each entry."""

from __future__ import annotations

import numpy as np
import torch

from tnm_core.torch.linear.packed_buffers import DTYPES

# What a state_dict calls them.
VALUES, BITS = "weight_values", "weight_bits"


def save(matrix: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kept values, and the mask as bits: the first entry is the lowest bit."""
    bits = np.packbits(mask.numpy(), bitorder="little")
    return matrix[mask], torch.from_numpy(bits)


def restore(
    values: torch.Tensor, bits: torch.Tensor, sides: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return matrix and mask, or refuse what `save` cannot have made of a matrix of these sides."""
    rows, columns = sides
    if values.ndim != 1 or values.dtype not in DTYPES.values():
        raise TypeError(
            f"{VALUES} is {values.dtype} with {values.ndim} axes, expected a vector of float32, "
            "bfloat16 or float16"
        )
    if bits.dtype != torch.uint8 or tuple(bits.shape) != (-(-rows * columns // 8),):
        raise ValueError(
            f"{BITS} is {bits.dtype} of shape {tuple(bits.shape)}, expected uint8 of shape "
            f"({-(-rows * columns // 8)},), a bit for each entry of {rows} x {columns}"
        )
    flags = np.unpackbits(bits.cpu().numpy(), bitorder="little")
    mask = torch.from_numpy(flags[: rows * columns].astype(bool)).view(rows, columns)
    if int(flags.sum()) != values.numel() or int(mask.sum()) != values.numel():
        raise ValueError(
            f"{VALUES} has {values.numel()} values and {BITS} keeps {int(flags.sum())}, expected "
            "the same; both have to come from one state_dict"
        )
    matrix = torch.zeros((rows, columns), dtype=values.dtype)
    matrix[mask] = values.detach().cpu()
    return matrix, mask
