"""Pruning one layer: mask and weights from its least-squares problem, or as AdaPrune has them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.calibrate.data import LayerMatrices, Sample
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
    mask, weight = find_mask(problem, matrices, pattern, recipe)
    if sample is not None:
        weight, new = adam_reconstruction(sample.x, sample.y, problem.dense, bias, mask)
        return PrunedMatrices(mask, weight, new)
    if recipe.reconstruction == "least_squares":
        weight = least_squares(problem, mask)
    elif recipe.reconstruction == "absorb_mean":
        weight = _with_mean_absorbed(problem.dense, mask, matrices, pattern.m)
    if bias is None or not recipe.bias:
        return PrunedMatrices(mask, weight, bias)
    return PrunedMatrices(mask, weight, problem.bias(weight))


def _with_mean_absorbed(
    dense: torch.Tensor, mask: torch.Tensor, matrices: LayerMatrices, m: int
) -> torch.Tensor:
    by_channel = (*dense.shape[:2], matrices.positions, matrices.channels)
    return absorb_mean(dense.reshape(by_channel), mask.reshape(by_channel), m).reshape(mask.shape)


def adam_reconstruction(
    x: torch.Tensor,
    y: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    iterations: int = 1000,
    batch: int = 50,
    rate: float = 1e-3,
    bias_rate: float = 1e-2,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Minimise the mean squared error of a layer's outputs by Adam, with the mask fixed.

    Hubara et al., "Accelerated Sparse Neural Training" (NeurIPS 2021), with the rates,
    iterations and batch of their code. Rows of inputs x and wanted outputs y have the shapes
    (groups, rows, columns) and (groups, rows, outputs); the new bias is None if the old one was.
    Weights are in float32 at least: in float16 what Adam divides by would be 0.
    """
    generator = torch.Generator().manual_seed(seed)
    wide = torch.promote_types(x.dtype, torch.float32)
    kept = mask.to(wide)
    with torch.enable_grad():
        parameter = (weight.to(wide) * kept).requires_grad_()
        groups = [{"params": [parameter], "lr": rate}]
        shift = None if bias is None else bias.to(wide, copy=True).requires_grad_()
        if shift is not None:
            groups.append({"params": [shift], "lr": bias_rate})
        optimizer = torch.optim.Adam(groups)
        for _ in range(iterations):
            rows = torch.randint(0, x.shape[1], (batch,), generator=generator).to(x.device)
            output = x[:, rows].to(wide) @ (parameter * kept).transpose(1, 2)
            if shift is not None:
                output = output + shift[:, None, :]
            loss = (output - y[:, rows].to(wide)).square().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return (parameter * kept).detach(), None if shift is None else shift.detach()


def absorb_mean(weight: torch.Tensor, mask: torch.Tensor, m: int) -> torch.Tensor:
    """Add to the kept weights of every m along the last axis the mean of the pruned ones."""
    parts = []
    for values, kept in zip(torch.split(weight, m, -1), torch.split(mask, m, -1), strict=True):
        pruned = torch.where(kept, 0.0, values).sum(-1, keepdim=True)
        count = (~kept).sum(-1, keepdim=True).clamp_min(1)
        parts.append(torch.where(kept, values + pruned / count, 0.0))
    return torch.cat(parts, -1)
