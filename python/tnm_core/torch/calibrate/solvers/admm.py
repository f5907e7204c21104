"""Mask search by the alternating direction method of multipliers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares

# Scores of shape (groups, outputs, columns) to the mask of highest score.
Project = Callable[[torch.Tensor], torch.Tensor]


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

    Parameters
    ----------
    problem : LayerLeastSquares
        The layer's problem.
    project : function
        Finds the mask of highest score.
    steps : int
        Projections.
    penalty : pair of float
        The first and the last ρ.

    Returns
    -------
    torch.Tensor of bool, shape (groups, outputs, columns)
        The mask.
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
