"""Pruning one layer: mask and weights from its least-squares problem."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tnm_core.torch.calibrate.data import Geometry, LayerPattern, Sample
from tnm_core.torch.calibrate.solvers.adaprune import absorb_mean, adam_reconstruction
from tnm_core.torch.calibrate.solvers.admm import admm_mask
from tnm_core.torch.calibrate.solvers.criteria import scores_of
from tnm_core.torch.calibrate.solvers.layer_least_squares import Quadratic
from tnm_core.torch.calibrate.solvers.least_squares import least_squares
from tnm_core.torch.calibrate.solvers.recipe import Recipe
from tnm_core.torch.calibrate.solvers.sparsegpt import sparsegpt_mask

__all__ = ["PrunedMatrices", "prune_matrices"]


@dataclass(frozen=True)
class PrunedMatrices:
    """A layer's new weights as matrices, shape (groups, outputs, columns), and its new bias."""

    mask: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None


def prune_matrices(
    problem: Quadratic,
    geometry: Geometry,
    pattern: LayerPattern,
    recipe: Recipe,
    *,
    bias: torch.Tensor | None = None,
    sample: Sample | None = None,
    mask: torch.Tensor | None = None,
) -> PrunedMatrices:
    """Find a layer's mask and its weights on that.

    Parameters
    ----------
    problem : Quadratic
        The layer's problem.
    geometry, pattern, recipe
        What is wanted.
    bias : torch.Tensor, shape (groups, outputs), optional
        The layer's.
    sample : Sample, optional
        Rows of data, for the reconstruction by Adam.
    mask : torch.Tensor of bool, optional
        To be used instead of a search.
    """
    propagated = None
    if mask is None:
        mask, propagated = _search(problem, geometry, pattern, recipe)
    if recipe.reconstruction == "adam":
        assert sample is not None
        weight, new = adam_reconstruction(sample.x, sample.y, problem.dense, bias, mask)
        return PrunedMatrices(mask, weight, new)
    if recipe.reconstruction == "least_squares":
        weight = least_squares(problem, mask)
    elif recipe.reconstruction == "absorb_mean":
        by_channel = (*problem.dense.shape[:2], geometry.positions, geometry.channels)
        weight = absorb_mean(
            problem.dense.reshape(by_channel), mask.reshape(by_channel), pattern.m
        ).reshape(mask.shape)
    elif propagated is not None:
        weight = propagated
    else:
        weight = torch.where(mask, problem.dense, 0.0)
    if bias is None or not recipe.bias:
        return PrunedMatrices(mask, weight, bias)
    return PrunedMatrices(mask, weight, problem.bias(weight))


def _search(
    problem: Quadratic, geometry: Geometry, pattern: LayerPattern, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor | None]:
    def project(scores: torch.Tensor) -> torch.Tensor:
        return geometry.project(scores, pattern, recipe.method)

    if recipe.search == "admm":
        return admm_mask(problem, project, steps=recipe.steps), None
    if recipe.search == "sparsegpt":
        return sparsegpt_mask(problem, project, geometry.tiles_of_columns(pattern.m))
    return project(scores_of(problem, recipe.criterion)), None
