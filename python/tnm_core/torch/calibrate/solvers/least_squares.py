"""The best weights for a fixed mask, in closed form or by conjugate gradients."""

from __future__ import annotations

from typing import Literal

import torch

from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares

Solver = Literal["auto", "cholesky", "dropped", "conjugate_gradient"]

# Entries of the submatrices that are factorised at once.
_PIECE = 1 << 22
_LARGE = 3072
# Share of the entries that must be kept for systems of the dropped ones to be preferred.
_MOSTLY_KEPT = 0.55
# Residual of the normal equations, relative to the largest entry of the right side.
_ACCURACY = 1e-10
_REFINEMENTS = 8


def least_squares(
    problem: LayerLeastSquares,
    mask: torch.Tensor,
    *,
    solver: Solver = "auto",
) -> torch.Tensor:
    """Solve a layer's problem on a mask, exactly: each output row on its own; zero where pruned.

    Where a row keeps the columns S and drops P, H_SS w_S = b_S. The same w is H⁻¹(b - u), with u
    zero on S and (H⁻¹)_PP u_P = (H⁻¹ b)_P, which is less work if P is smaller than S: Optimal
    Brain Surgeon (Hassibi and Stork 1992) for many weights at a time.

    Solvers are Cholesky of each row's submatrix of H for the kept columns; of H⁻¹ for the dropped
    ones; or all rows at once by conjugate gradients. By default the last where a layer has more
    than 3072 columns, else the second where most entries are kept.
    """
    if solver == "conjugate_gradient" or (solver == "auto" and mask.shape[2] > _LARGE):
        return conjugate_gradient(problem, mask)
    mostly_kept = int(mask.sum()) > _MOSTLY_KEPT * mask.numel()
    if solver == "dropped" or (solver == "auto" and mostly_kept):
        weight = _by_dropped(problem, mask)
        if weight is not None:
            return weight
    return _by_rows(problem.hessian.matrix, problem.linear, mask)


def _by_dropped(problem: LayerLeastSquares, mask: torch.Tensor) -> torch.Tensor | None:
    """Solve by the dropped entries; None where H is too close to singular for its inverse."""
    inverse = problem.hessian.inverse
    if inverse is None:
        return None
    free = problem.linear @ inverse
    multiplier = _by_rows(inverse, free, ~mask)
    weight = torch.where(mask, free - multiplier @ inverse, 0.0)
    right = torch.where(mask, problem.linear, 0.0)
    residual = torch.where(mask, problem.linear - weight @ problem.hessian.matrix, 0.0)
    enough = _ACCURACY * right.abs().amax(2)
    return weight if bool((residual.abs().amax(2) <= enough).all()) else None


def _by_rows(hessian: torch.Tensor, linear: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Solve each row's system, of the columns of the mask; zero elsewhere."""
    weight = torch.zeros_like(linear)
    for group in range(mask.shape[0]):
        kept, both = mask[group], (hessian[group], hessian[group].float())
        width = int(kept.sum(1).max())
        rows = max(_PIECE // max(width * width, 1), 1)
        for start in range(0, kept.shape[0], rows):
            here = slice(start, start + rows)
            weight[group, here] = _solve_rows(both, linear[group, here], kept[here], width)
    return weight


def _solve_rows(
    both: tuple[torch.Tensor, torch.Tensor], linear: torch.Tensor, mask: torch.Tensor, width: int
) -> torch.Tensor:
    """Solve some rows' systems, given the Hessian in float64 and in float32."""
    # Kept columns first, in order; rows that keep fewer are filled up with unit equations.
    columns = (~mask).to(torch.int8).argsort(dim=1, stable=True)[:, :width]
    real = mask.gather(1, columns)
    solved = _refined(both, linear, mask, columns, real)
    return _exact(both[0], linear, columns, real) if solved is None else solved


def _refined(
    both: tuple[torch.Tensor, torch.Tensor],
    linear: torch.Tensor,
    mask: torch.Tensor,
    columns: torch.Tensor,
    real: torch.Tensor,
) -> torch.Tensor | None:
    """Factorise in float32, which is twice as fast, and refine in float64; None if that fails."""
    hessian, single = both
    factor, info = torch.linalg.cholesky_ex(_submatrices(single, columns, real))
    if bool(info.any()):
        return None
    weight = torch.zeros_like(linear)
    residual = torch.where(mask, linear, 0.0)
    enough = _ACCURACY * residual.abs().amax(1)
    for _ in range(_REFINEMENTS):
        right = residual.gather(1, columns).float()
        step = torch.cholesky_solve(right[:, :, None], factor)[:, :, 0].to(linear.dtype)
        weight.scatter_add_(1, columns, torch.where(real, step, 0.0))
        residual = torch.where(mask, linear - weight @ hessian, 0.0)
        if bool((residual.abs().amax(1) <= enough).all()):
            return weight
    return None


def _exact(
    hessian: torch.Tensor, linear: torch.Tensor, columns: torch.Tensor, real: torch.Tensor
) -> torch.Tensor:
    factor = torch.linalg.cholesky(_submatrices(hessian, columns, real))
    right = torch.where(real, linear.gather(1, columns), 0.0)
    solved = torch.cholesky_solve(right[:, :, None], factor)[:, :, 0]
    return torch.zeros_like(linear).scatter_add_(1, columns, torch.where(real, solved, 0.0))


def _submatrices(hessian: torch.Tensor, columns: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    width = columns.shape[1]
    matrix = hessian.new_empty(len(columns), width, width)
    for own, part in zip(columns, matrix, strict=True):
        torch.index_select(hessian.index_select(0, own), 1, own, out=part)
    if not bool(real.all()):
        matrix = torch.where(real[:, :, None] & real[:, None, :], matrix, 0.0)
        matrix.diagonal(dim1=1, dim2=2).add_((~real).to(matrix.dtype))
    return matrix


def conjugate_gradient(
    problem: LayerLeastSquares,
    mask: torch.Tensor,
    *,
    tolerance: float = 1e-8,
    iterations: int = 500,
) -> torch.Tensor:
    """Solve all rows at once by conjugate gradients on the kept entries, scaled by the diagonal.

    Stops when every row's residual, in the norm that the diagonal scales, is `tolerance` of its
    right side.
    """
    inverse = 1.0 / problem.hessian.diagonal[:, None, :]
    kept = mask.to(problem.linear.dtype)
    weight = problem.dense * kept
    residual = (problem.linear - weight @ problem.hessian.matrix) * kept
    scaled = residual * inverse
    direction = scaled.clone()
    energy = (residual * scaled).sum(-1, keepdim=True)
    right = problem.linear * kept
    enough = tolerance**2 * (right * right * inverse).sum(-1, keepdim=True)
    for _ in range(iterations):
        if bool((energy <= enough).all()):
            break
        image = (direction @ problem.hessian.matrix) * kept
        curvature = (direction * image).sum(-1, keepdim=True)
        step = torch.where(energy > enough, energy / curvature.clamp_min(1e-300), 0.0)
        weight += step * direction
        residual -= step * image
        scaled = residual * inverse
        renewed = (residual * scaled).sum(-1, keepdim=True)
        direction = scaled + direction * (renewed / energy.clamp_min(1e-300))
        energy = renewed
    return weight
