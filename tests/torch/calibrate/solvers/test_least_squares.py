"""The best weights for a mask, against a dense solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.torch.calibrate.problems import (
    COLUMNS,
    OUTPUTS,
    make_data,
    make_mask,
    make_problem,
    moments_of,
)
from tnm_core.torch.calibrate import RankDeficientWarning
from tnm_core.torch.calibrate.solvers import layer_least_squares_of
from tnm_core.torch.calibrate.solvers.least_squares import conjugate_gradient, least_squares


@pytest.mark.parametrize("damping", [0.0, 0.1])
@pytest.mark.parametrize("solver", ["cholesky", "dropped", "conjugate_gradient"])
@pytest.mark.parametrize("centre", [True, False])
def test_least_squares_is_that_of_a_dense_solver(damping: float, solver: Any, centre: bool) -> None:
    x, y, dense = make_data()
    bias = torch.randn(1, OUTPUTS, dtype=torch.float64)
    problem = make_problem(damping, bias=bias, centre=centre)
    mask = make_mask()
    if solver == "conjugate_gradient":
        weight = conjugate_gradient(problem, mask, tolerance=1e-12)
    else:
        weight = least_squares(problem, mask, solver=solver)
    assert not bool(weight[~mask].any())
    rows, wanted, old = x[0].numpy(), y[0].numpy(), dense[0].numpy()
    if centre:
        rows, wanted = rows - rows.mean(0), wanted - wanted.mean(0)
    else:
        wanted = wanted - bias[0].numpy()
    pull = np.sqrt(damping * (rows**2).sum() / COLUMNS)
    for output, kept in enumerate(mask[0].numpy()):
        # Damping is further rows of data, one a column, that pull towards the dense weight.
        matrix = np.vstack((rows, pull * np.eye(COLUMNS)))[:, kept]
        right = np.concatenate((wanted[:, output], pull * old[output]))
        # A pruned weight pays for its distance from the dense one whatever the others are.
        expected = np.linalg.lstsq(matrix, right, rcond=None)[0]
        np.testing.assert_allclose(weight[0, output, kept], expected, rtol=1e-6, atol=1e-8)
    if centre:
        shift = problem.bias(weight)[0].numpy()
        free = y[0].numpy() - x[0].numpy() @ weight[0].numpy().T
        np.testing.assert_allclose(shift, free.mean(0), atol=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_masks_that_keep_most_have_the_same_least_squares(share: float, monkeypatch: Any) -> None:
    problem = make_problem()
    inverse, inverted = torch.cholesky_inverse, []
    monkeypatch.setattr(
        torch, "cholesky_inverse", lambda factor: inverted.append(factor) or inverse(factor)
    )
    mask = torch.rand(1, OUTPUTS, COLUMNS, generator=torch.Generator().manual_seed(2)) < share
    weight = least_squares(problem, mask)
    assert torch.equal(least_squares(problem, mask), weight)
    # Systems of the dropped columns, by an inverse that is computed once.
    assert len(inverted) == (1 if share > 0.5 else 0)
    expected = least_squares(problem, mask, solver="cholesky")
    torch.testing.assert_close(weight, expected, rtol=1e-9, atol=1e-11)
    assert not bool(weight[~mask].any())


def test_least_squares_without_an_inverse_are_solved_by_rows() -> None:
    x, y, weight = make_data(rows=10)
    moments = moments_of(x, y)
    with pytest.warns(RankDeficientWarning):
        problem = layer_least_squares_of(moments, weight, damping=0.0)
    assert float(torch.linalg.cond(problem.hessian.matrix)[0]) > 1e10
    mask = torch.rand(1, OUTPUTS, COLUMNS, generator=torch.Generator().manual_seed(2)) < 0.9
    by_rows = least_squares(problem, mask, solver="cholesky")
    torch.testing.assert_close(least_squares(problem, mask, solver="dropped"), by_rows)
