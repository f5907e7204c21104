"""What a kept entry is worth: scores for the exact solver, from weights and calibration data."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares

Criterion = Literal["magnitude", "square", "wanda", "wanda_square", "obs"]

CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


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
