"""Scores of entries, against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from tests.torch.calibrate.problems import make_problem
from tnm_core.torch.calibrate.solvers.mask_search import scores_of
from tnm_core.torch.calibrate.solvers.recipe import CRITERIA


def test_criteria() -> None:
    problem = make_problem()
    weight, hessian = problem.dense[0].numpy(), problem.hessian.matrix[0].numpy()
    expected = {
        "magnitude": abs(weight),
        "square": weight**2,
        "wanda": abs(weight) * np.sqrt(np.diag(hessian)),
        "wanda_square": weight**2 * np.diag(hessian),
        "obs": weight**2 / np.diag(np.linalg.inv(hessian)),
    }
    assert set(expected) == set(CRITERIA)
    for criterion in CRITERIA:
        np.testing.assert_allclose(scores_of(problem, criterion)[0], expected[criterion])
    with pytest.raises(ValueError, match="criterion is 'best', expected one of magnitude"):
        scores_of(problem, "best")  # type: ignore[arg-type]
