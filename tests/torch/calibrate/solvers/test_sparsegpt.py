"""The search of SparseGPT, against optimal brain surgeon column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

import tnm_core as tnm
from tests.torch.calibrate.problems import make_problem, make_projection
from tnm_core import Pattern
from tnm_core.torch.calibrate.solvers import LayerLeastSquares
from tnm_core.torch.calibrate.solvers.mask_search import sparsegpt_mask


def _naive_sparsegpt(problem: LayerLeastSquares, n: int, m: int) -> tuple[Any, Any]:
    """Eliminate a column at a time from the inverse Hessian, as optimal brain surgeon does."""
    hessian = problem.hessian.matrix[0].numpy()
    weight = np.linalg.solve(hessian, problem.linear[0].numpy().T).T
    inverse = np.linalg.inv(hessian)
    mask = np.ones(weight.shape, bool)
    for start in range(0, weight.shape[1], m):
        ahead = inverse.copy()
        pivots = []
        for column in range(start, start + m):
            pivots.append(ahead[column, column])
            ahead -= np.outer(ahead[:, column], ahead[column]) / ahead[column, column]
        block = slice(start, start + m)
        mask[:, block] = tnm.transposable_mask(
            weight[:, block] ** 2 / pivots, n, m, score="identity"
        )
        for column in range(start, start + m):
            pruned = np.where(mask[:, column], 0, weight[:, column]) / inverse[column, column]
            weight[:, column:] -= np.outer(pruned, inverse[column, column:])
            inverse -= np.outer(inverse[:, column], inverse[column]) / inverse[column, column]
    return mask, weight * mask


def test_sparsegpt_is_optimal_brain_surgeon_by_blocks() -> None:
    problem = make_problem()
    matrices, project = make_projection(Pattern(2, 4))
    mask, weight = sparsegpt_mask(problem, project, matrices.tiles_of_columns(4))
    expected_mask, expected = _naive_sparsegpt(problem, 2, 4)
    np.testing.assert_array_equal(mask[0], expected_mask)
    np.testing.assert_allclose(weight[0], expected, atol=1e-9)
