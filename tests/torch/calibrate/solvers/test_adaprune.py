"""The reconstructions of AdaPrune."""

from __future__ import annotations

import pytest
import torch

from tests.torch.calibrate.problems import OUTPUTS, make_data, make_mask, moments_of
from tnm_core.torch.calibrate.solvers import layer_least_squares_of
from tnm_core.torch.calibrate.solvers.layer_pruning import absorb_mean, adam_reconstruction
from tnm_core.torch.calibrate.solvers.least_squares import least_squares


def test_adam_comes_close_to_least_squares() -> None:
    x, y, dense = make_data()
    scale = x.std()
    x = x / scale
    mask = make_mask()
    weight, bias = adam_reconstruction(
        x, y, dense * scale, torch.zeros(1, OUTPUTS), mask, iterations=3000, rate=3e-2,
        bias_rate=3e-2, batch=300,
    )  # fmt: skip
    assert bias is not None
    assert not bool(weight[~mask].any())
    moments = moments_of(x, y)
    problem = layer_least_squares_of(moments, dense * scale, damping=0.0)
    best = problem.relative_error(least_squares(problem, mask))
    reached = (y - x @ weight.transpose(1, 2) - bias).square().sum()
    assert float(reached / (y - y.mean(1)).square().sum()) < 1.05 * best
    same = [adam_reconstruction(x, y, dense, None, mask, iterations=5) for _ in range(2)]
    assert torch.equal(same[0][0], same[1][0])
    assert same[0][1] is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_come_close_to_floats(dtype: torch.dtype) -> None:
    """In float16 Adam would divide by a root mean square of 0 where a weight is pruned."""
    x, y, dense = (one.float() for one in make_data())
    scale = x.std()
    x, dense, mask = x / scale, dense * scale, make_mask()
    wide, _ = adam_reconstruction(x, y, dense, None, mask, iterations=200)
    half, _ = adam_reconstruction(
        x.to(dtype), y.to(dtype), dense.to(dtype), None, mask, iterations=200
    )
    assert bool(half.isfinite().all())
    torch.testing.assert_close(half, wide, atol=0.03 * float(wide.abs().max()), rtol=0.0)


def test_absorb_mean() -> None:
    weight = torch.tensor([[4.0, 1.0, 3.0, 6.0, 5.0, 2.0]])
    mask = torch.tensor([[True, False, False, True, True, False]])
    expected = torch.tensor([[6.0, 0.0, 0.0, 8.0, 7.0, 0.0]])
    assert torch.equal(absorb_mean(weight, mask, 4), expected)
