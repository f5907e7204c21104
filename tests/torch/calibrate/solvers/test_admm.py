"""The search by ADMM, against a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tests.torch.calibrate.problems import make_problem, make_projection
from tnm_core import Pattern
from tnm_core.torch.calibrate.solvers import LayerLeastSquares
from tnm_core.torch.calibrate.solvers.least_squares import least_squares
from tnm_core.torch.calibrate.solvers.mask_search import admm_mask, scores_of


def _naive_admm(problem: LayerLeastSquares, n: int, m: int, steps: int) -> Any:
    scale = np.sqrt(np.diag(problem.hessian.matrix[0].numpy()))
    hessian = problem.hessian.matrix[0].numpy() / np.outer(scale, scale)
    linear = problem.linear[0].numpy() / scale
    split = problem.dense[0].numpy() * scale
    multiplier = np.zeros_like(split)
    mask = np.ones(split.shape, bool)
    for rho in np.geomspace(0.03, 1.5, steps):
        right = linear + rho * split - multiplier
        weight = np.linalg.solve(hessian + rho * np.eye(len(scale)), right.T).T
        mask = tnm.transposable_mask(weight + multiplier / rho, n, m, score="square")
        split = np.where(mask, weight + multiplier / rho, 0)
        multiplier += rho * (weight - split)
    return mask


@pytest.mark.parametrize("n", [1, 2])
def test_admm_is_the_naive_one_and_beats_one_shot(n: int) -> None:
    problem = make_problem()
    _, project = make_projection(Pattern(n, 4))
    mask = admm_mask(problem, project, steps=30)
    np.testing.assert_array_equal(mask[0], _naive_admm(problem, n, 4, 30))
    assert tnm.is_transposable(mask[0].numpy(), n, 4)
    one_shot = project(scores_of(problem, "wanda_square"))
    errors = [problem.relative_error(least_squares(problem, one)) for one in (mask, one_shot)]
    assert errors[0] < 0.95 * errors[1]
