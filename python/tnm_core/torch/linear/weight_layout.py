"""How the weight of a layer is read as one matrix (out, in), and written back."""

from __future__ import annotations

from typing import Literal

import torch

# in_out: that of the Conv1D of transformers. A pointwise convolution is out_in with axes of one.
Layout = Literal["out_in", "in_out"]


def as_matrix(weight: torch.Tensor, layout: str) -> torch.Tensor:
    """View a weight, or its mask, as a matrix (out, in)."""
    if layout == "in_out":
        return weight.t()
    return weight.flatten(1) if weight.ndim > 2 else weight


def like_weight(matrix: torch.Tensor, weight: torch.Tensor, layout: str) -> torch.Tensor:
    """View a matrix (out, in) in the shape of the weight."""
    return matrix.t() if layout == "in_out" else matrix.reshape(weight.shape)
