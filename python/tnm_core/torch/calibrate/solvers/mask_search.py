"""Which entries of a layer to keep: the three searches for its mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.calibrate.data import LayerMatrices
from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares
from tnm_core.torch.calibrate.solvers.recipe import CRITERIA, Criterion, Recipe

# Scores of shape (groups, outputs, columns) to the mask of highest score.
Project = Callable[[torch.Tensor], torch.Tensor]


def find_mask(
    problem: LayerLeastSquares, matrices: LayerMatrices, pattern: Pattern, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the mask, and the weights that the search leaves on it, zero where pruned.

    All have the shape (groups, outputs, columns).
    """

    def project(scores: torch.Tensor) -> torch.Tensor:
        return matrices.project(scores, pattern, recipe.method)

    if recipe.search == "sparsegpt":
        return sparsegpt_mask(problem, project, matrices.tiles_of_columns(pattern.m))
    if recipe.search == "admm":
        mask = admm_mask(problem, project, steps=recipe.steps)
    else:
        mask = project(scores_of(problem, recipe.criterion))
    return mask, torch.where(mask, problem.dense, 0.0)


def scores_of(problem: LayerLeastSquares, criterion: Criterion) -> torch.Tensor:
    """Return the scores of a layer's entries, shape (groups, outputs, columns), float64.

    With h = diag(XᵀX / rows), damped: ``"magnitude"`` abs(w), ``"square"`` w², ``"wanda"``
    abs(w)·√h (Sun et al., arXiv 2306.11695), ``"wanda_square"`` w²·h, ``"obs"`` w² / [H⁻¹]_jj, the
    saliency of optimal brain surgeon (Frantar and Alistarh, SparseGPT, arXiv 2301.00774).
    """
    weight = problem.dense
    if criterion == "magnitude":
        return weight.abs()
    if criterion == "square":
        return weight.square()
    diagonal = problem.hessian.diagonal[:, None, :]
    if criterion == "wanda":
        return weight.abs() * diagonal.sqrt()
    if criterion == "wanda_square":
        return weight.square() * diagonal
    if criterion == "obs":
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(problem.hessian.matrix))
        return weight.square() / inverse.diagonal(dim1=1, dim2=2)[:, None, :]
    raise ValueError(f"criterion is {criterion!r}, expected one of {', '.join(CRITERIA)}")


def admm_mask(
    problem: LayerLeastSquares,
    project: Project,
    *,
    steps: int = 30,
    penalty: tuple[float, float] = (0.03, 1.5),
) -> torch.Tensor:
    """Search a mask by alternating damped least squares with the exact projection on masks.

    With columns scaled so that diag(H) = 1: W = (B + ρD - V)(H + ρI)⁻¹, Z = W + V/ρ, D = Z on the
    best mask for Z², V = V + ρ(W - D); ρ rises geometrically. One eigendecomposition of H serves
    all steps. After ALPS (Meng et al., arXiv 2406.07831), with the transposable projection.
    `penalty` is the first and the last ρ.
    """
    scale = problem.hessian.diagonal.sqrt()[:, None, :]
    # The steps only rank entries, so float32 does; the reconstruction is in float64.
    values, vectors = problem.hessian.spectrum
    linear = (problem.linear / scale).float()
    split = (problem.dense * scale).float()
    multiplier = torch.zeros_like(split)
    mask = torch.ones_like(split, dtype=torch.bool)
    first, last = penalty
    for step in range(steps):
        rho = first * (last / first) ** (step / max(steps - 1, 1))
        target = linear + rho * split - multiplier
        weight = ((target @ vectors) / (values[:, None, :] + rho)) @ vectors.transpose(1, 2)
        proposal = weight + multiplier / rho
        mask = project(proposal.square())
        split = proposal * mask
        multiplier = multiplier + rho * (weight - split)
    return mask


def sparsegpt_mask(
    problem: LayerLeastSquares,
    project: Project,
    blocks: Sequence[slice],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prune column by column; the mask of a block of columns is exact for the weights so far.

    Frantar and Alistarh, SparseGPT (arXiv 2301.00774), algorithm 1, with blocks one tile wide and
    the exact transposable mask of the saliencies w² / [H⁻¹]_jj within each. Returned are the mask,
    and the weights with the errors propagated, zero where pruned.

    `blocks` are the columns, left to right, in runs that tiles do not cross.
    """
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(problem.hessian.matrix))
    upper = torch.linalg.cholesky(inverse).transpose(1, 2)
    # Start from the dense solution, which is the dense weight if outputs are its own.
    weight = problem.linear @ inverse
    mask = torch.ones_like(weight, dtype=torch.bool)
    for block in blocks:
        pivots = upper.diagonal(dim1=1, dim2=2)[:, None, block]
        mask[:, :, block] = project((weight[:, :, block] / pivots).square())
        errors = torch.zeros_like(weight[:, :, block])
        for offset, column in enumerate(range(block.start, block.stop)):
            pruned = torch.where(mask[:, :, column], 0.0, weight[:, :, column])
            error = pruned / upper[:, column, column, None]
            row = upper[:, column, None, column : block.stop]
            weight[:, :, column : block.stop] -= error[:, :, None] * row
            errors[:, :, offset] = error
        weight[:, :, block.stop :] -= errors @ upper[:, block, block.stop :]
    return mask, torch.where(mask, weight, 0.0)
