"""Pruning one layer: mask and weights from its least-squares problem."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.calibrate.data import LayerMatrices, Sample
from tnm_core.torch.calibrate.solvers.adaprune import absorb_mean, adam_reconstruction
from tnm_core.torch.calibrate.solvers.admm import admm_mask
from tnm_core.torch.calibrate.solvers.criteria import scores_of
from tnm_core.torch.calibrate.solvers.least_squares import least_squares
from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares
from tnm_core.torch.calibrate.solvers.recipe import Recipe
from tnm_core.torch.calibrate.solvers.sparsegpt import sparsegpt_mask


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
    """Find a layer's mask and its weights on that.

    Parameters
    ----------
    problem : LayerLeastSquares
        The layer's problem.
    matrices, pattern, recipe
        What is wanted.
    bias : torch.Tensor, shape (groups, outputs), optional
        The layer's.
    sample : Sample, optional
        Rows of data; for the reconstruction by Adam, and for no other.
    """
    mask, propagated = _search(problem, matrices, pattern, recipe)
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


def _search(
    problem: LayerLeastSquares, matrices: LayerMatrices, pattern: Pattern, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Find the mask, and the weights that the search itself leads to, if it leads to some."""

    def project(scores: torch.Tensor) -> torch.Tensor:
        return matrices.project(scores, pattern, recipe.method)

    if recipe.search == "admm":
        return admm_mask(problem, project, steps=recipe.steps), None
    if recipe.search == "sparsegpt":
        return sparsegpt_mask(problem, project, matrices.tiles_of_columns(pattern.m))
    return project(scores_of(problem, recipe.criterion)), None


def _with_mean_absorbed(
    dense: torch.Tensor, mask: torch.Tensor, matrices: LayerMatrices, m: int
) -> torch.Tensor:
    by_channel = (*dense.shape[:2], matrices.positions, matrices.channels)
    return absorb_mean(dense.reshape(by_channel), mask.reshape(by_channel), m).reshape(mask.shape)
