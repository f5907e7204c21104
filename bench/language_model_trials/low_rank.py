"""A matrix of low rank beside each pruned one, as large as a part of the dense matrix."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from tnm_core.torch.calibrate import Moments, Statistics

DAMPING = 0.01


def rank_of(outputs: int, inputs: int, share: float) -> int:
    """The rank whose two factors hold that share of the entries of a matrix, at least 1."""
    return max(1, round(share * outputs * inputs / (outputs + inputs)))


@torch.no_grad()
def add_low_rank_(
    model: nn.Module, dense: Mapping[str, torch.Tensor], statistics: Statistics, share: float
) -> None:
    """Add to each pruned weight the best matrix of low rank for its inputs in the dense model."""
    for name, weight in dense.items():
        layer = model.get_submodule(name)
        rank = rank_of(*weight.shape, share)
        layer.weight.add_(best_of_rank(weight - layer.weight, statistics.layers[name], rank))


def best_of_rank(matrix: torch.Tensor, moments: Moments, rank: int) -> torch.Tensor:
    """The matrix of this rank whose products with the inputs are closest: Eckart and Young, 1936.

    With XᵀX = R², that is the best approximation of D R, times the inverse of R.
    """
    hessian = moments.xx[0] / float(moments.count)
    values, axes = torch.linalg.eigh(hessian)
    values = values.clamp_min(0) + DAMPING * values.mean()
    root, inverse = ((axes * values**power) @ axes.T for power in (0.5, -0.5))
    left, sizes, right = torch.linalg.svd(matrix.double() @ root, full_matrices=False)
    found = (left[:, :rank] * sizes[:rank]) @ right[:rank] @ inverse
    return found.to(matrix.dtype)
