"""Mask search block by block, with errors propagated to the columns that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares


def sparsegpt_mask(
    problem: LayerLeastSquares,
    project: Callable[[torch.Tensor], torch.Tensor],
    blocks: Sequence[slice],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prune column by column; the mask of a block of columns is exact for the weights so far.

    Frantar and Alistarh, SparseGPT (arXiv 2301.00774), algorithm 1, with blocks one tile wide and
    the exact transposable mask of the saliencies w² / [H⁻¹]_jj within each.

    Parameters
    ----------
    problem : LayerLeastSquares
        The layer's problem.
    project : function
        Finds the mask of highest score of a block of columns.
    blocks : sequence of slice
        The columns, left to right, in runs that tiles do not cross.

    Returns
    -------
    mask : torch.Tensor of bool, shape (groups, outputs, columns)
        What is kept.
    weight : torch.Tensor of float64, same shape
        The weights with the errors propagated, zero where pruned.
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
