"""Pruning one layer: mask and weights from its least-squares problem."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.calibrate.data import LayerMatrices, Sample
from tnm_core.torch.calibrate.solvers.adaprune import absorb_mean, adam_reconstruction
from tnm_core.torch.calibrate.solvers.least_squares import least_squares
from tnm_core.torch.calibrate.solvers.mask_search import find_mask
from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares
from tnm_core.torch.calibrate.solvers.recipe import Recipe


@dataclass(frozen=True)
class PrunedMatrices:
    """A layer's new weights as matrices, shape (groups, outputs, columns), and its new bias."""

    mask: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None


def prune_matrices(
    problem: LayerLeastSquares,
    matrices: LayerMatrices,
    pattern: Pattern,
    recipe: Recipe,
    *,
    bias: torch.Tensor | None = None,
    sample: Sample | None = None,
) -> PrunedMatrices:
    """Find a layer's mask and its weights on that, by Adam if there is a sample of the data."""
    mask, propagated = find_mask(problem, matrices, pattern, recipe)
    if sample is not None:
        weight, new = adam_reconstruction(sample.x, sample.y, problem.dense, bias, mask)
        return PrunedMatrices(mask, weight, new)
    if recipe.reconstruction == "least_squares":
        weight = least_squares(problem, mask)
    elif recipe.reconstruction == "absorb_mean":
        weight = _with_mean_absorbed(problem.dense, mask, matrices, pattern.m)
    elif propagated is not None:
        weight = propagated
    else:
        weight = torch.where(mask, problem.dense, 0.0)
    if bias is None or not recipe.bias:
        return PrunedMatrices(mask, weight, bias)
    return PrunedMatrices(mask, weight, problem.bias(weight))


def _with_mean_absorbed(
    dense: torch.Tensor, mask: torch.Tensor, matrices: LayerMatrices, m: int
) -> torch.Tensor:
    by_channel = (*dense.shape[:2], matrices.positions, matrices.channels)
    return absorb_mean(dense.reshape(by_channel), mask.reshape(by_channel), m).reshape(mask.shape)
