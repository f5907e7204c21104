"""The least-squares problem of a layer."""

from __future__ import annotations

from contextlib import nullcontext

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
from tnm_core.torch.calibrate.data.moments import MomentSums
from tnm_core.torch.calibrate.solvers import layer_least_squares_of
from tnm_core.torch.calibrate.solvers.least_squares import least_squares


@pytest.mark.parametrize("alpha", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("centre", [True, False])
def test_relative_error_is_that_of_the_outputs(alpha: float, centre: bool) -> None:
    x, y, dense = make_data()
    bias = torch.randn(1, OUTPUTS, dtype=torch.float64)
    problem = make_problem(alpha=alpha, bias=bias, centre=centre)
    weight = dense * make_mask()
    wanted = alpha * y + (1 - alpha) * (x @ dense.transpose(1, 2) + bias[:, None])
    if not centre:
        wanted = wanted - bias[:, None]
    error = wanted - x @ weight.transpose(1, 2)
    if centre:
        error, wanted = error - error.mean(1, keepdim=True), wanted - wanted.mean(1, keepdim=True)
    expected = float(error.square().sum() / wanted.square().sum())
    assert problem.relative_error(weight) == pytest.approx(expected, rel=1e-9)


def test_outputs_of_a_problem_share_its_spectrum() -> None:
    problem = make_problem()
    values, vectors = problem.hessian.spectrum
    part = problem.outputs(slice(4, 8))
    assert part.hessian is problem.hessian
    scale = problem.hessian.diagonal.sqrt()[0]
    scaled = problem.hessian.matrix[0] / (scale[:, None] * scale)
    torch.testing.assert_close(
        (vectors * values[:, None]) @ vectors.transpose(1, 2), scaled[None].float()
    )
    mask = make_mask()
    whole = least_squares(problem, mask)
    torch.testing.assert_close(least_squares(part, mask[:, 4:8]), whole[:, 4:8])


def test_rank_deficient_data_are_damped_with_a_warning() -> None:
    x, y, weight = make_data(rows=10)
    moments = moments_of(x, y)
    for damping in (0.0, 0.1):
        with pytest.warns(RankDeficientWarning, match=r"'fc': .* rank at most 9 of 24 columns"):
            problem = layer_least_squares_of(moments, weight, name="fc", damping=damping)
        assert float(problem.damping[0]) > 0
        assert bool(least_squares(problem, make_mask()).isfinite().all())
    constant = moments_of(torch.zeros_like(x), y)
    with pytest.warns(RankDeficientWarning, match="damped by 1"):
        problem = layer_least_squares_of(constant, weight)
    mask = make_mask()
    torch.testing.assert_close(least_squares(problem, mask), weight * mask)


def test_data_that_cannot_be_used_are_refused() -> None:
    x, y, weight = make_data()
    nothing = MomentSums(1, COLUMNS, OUTPUTS).moments()
    with pytest.raises(ValueError, match="no calibration data reached layer 'fc'"):
        layer_least_squares_of(nothing, weight, name="fc")
    x[0, 5, 2] = float("nan")
    with pytest.raises(ValueError, match="layer 'fc' has calibration data with NaN"):
        layer_least_squares_of(moments_of(x, y), weight, name="fc")


@pytest.mark.parametrize("centre", [True, False])
def test_inputs_that_do_not_vary_leave_no_error(centre: bool) -> None:
    """Their variance would be what rounding leaves of it."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        x = torch.randn(1, 1, 16, generator=generator).expand(1, 111, 16)
        dense = torch.randn(1, OUTPUTS, 16, generator=generator, dtype=torch.float64)
        told = (
            pytest.warns(RankDeficientWarning, match="rank at most 0") if centre else nullcontext()
        )
        with told:
            problem = layer_least_squares_of(
                moments_of(x).with_outputs(dense), dense, centre=centre
            )
        mask = torch.rand(1, OUTPUTS, 16, generator=generator) < 0.5
        error = problem.relative_error(least_squares(problem, mask))
        assert error == 0.0 if centre else error < 1.0
