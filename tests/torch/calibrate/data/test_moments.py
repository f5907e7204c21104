"""Moments, against products of all rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.torch.calibrate.problems import COLUMNS, OUTPUTS, ROWS, make_data, moments_of
from tnm_core.torch.calibrate import Moments
from tnm_core.torch.calibrate.data.moments import MomentSums


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_moments_do_not_depend_on_the_batches(dtype: Any) -> None:
    x, y, _ = make_data(rows=5000)
    x, y = x.to(dtype), y.to(dtype)
    sums = MomentSums(1, COLUMNS, OUTPUTS)
    for start, stop in ((0, 1), (1, 4000), (4000, 4000), (4000, 5000)):
        sums.add(x[:, start:stop], y[:, start:stop])
    moments = sums.moments()
    exact_x, exact_y = x[0].double().numpy(), y[0].double().numpy()
    assert int(moments.count) == 5000
    np.testing.assert_allclose(moments.xx[0], exact_x.T @ exact_x, rtol=1e-12)
    np.testing.assert_allclose(moments.yx[0], exact_y.T @ exact_x, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(moments.yy[0], (exact_y**2).sum(0), rtol=1e-12)
    np.testing.assert_allclose(moments.x[0], exact_x.sum(0), rtol=1e-12)


def test_sums_that_are_copied_or_read_grow_on_their_own() -> None:
    x, y, _ = make_data()
    sums = MomentSums(1, COLUMNS, OUTPUTS)
    sums.add(x, y)
    copied, before = sums.copy(), sums.moments()
    kept = {name: one.clone() for name, one in before.state_dict().items()}
    copied.add(x, y)
    sums.add(x[:, :100], y[:, :100])
    counts = [int(one.count) for one in (copied.moments(), sums.moments(), before)]
    assert counts == [2 * ROWS, ROWS + 100, ROWS]
    assert all(torch.equal(kept[name], one) for name, one in before.state_dict().items())
    again = Moments.from_state_dict(before.state_dict())
    assert all(torch.equal(kept[name], one) for name, one in again.state_dict().items())


@pytest.mark.parametrize("columns", [255, 256, 257, 600])
def test_moments_of_many_columns_are_symmetric(columns: int) -> None:
    x = torch.randn(2, 70, columns, dtype=torch.float64)
    sums = MomentSums(2, columns, 0)
    for rows in (x[:, :30], x[:, 30:31], x[:, 31:]):
        sums.add(rows)
    lower, upper = sums.moments().xx.transpose(1, 2), sums.moments().xx
    torch.testing.assert_close(lower, upper, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(upper, x.transpose(1, 2) @ x, rtol=1e-12, atol=1e-12)
    sums.add(x)  # after they were read
    twice = sums.moments().xx
    torch.testing.assert_close(twice, 2 * x.transpose(1, 2) @ x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("with_bias", [True, False])
def test_moments_of_outputs_follow_from_those_of_inputs(with_bias: bool) -> None:
    x, _, weight = make_data()
    bias = torch.randn(1, OUTPUTS, dtype=torch.float64) if with_bias else None
    inputs = moments_of(x)
    expected = moments_of(x, x @ weight.transpose(1, 2) + (0.0 if bias is None else bias[:, None]))
    got = inputs.with_outputs(weight, bias)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(got.state_dict()[name], value, rtol=1e-9, atol=1e-9)
    assert got.xx is inputs.xx
    both = got.plus(expected)
    torch.testing.assert_close(both.yy, 2 * expected.yy)
    assert [int(both.count), int(got.count)] == [2 * ROWS, ROWS]
    with pytest.raises(ValueError, match=r"shape \(1, 0, 24\), expected \(1, 16, 24\)"):
        got.plus(inputs)


def test_other_shapes_are_refused() -> None:
    sums = MomentSums(1, 4, 2)
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 5\), expected \(1, rows, 4\)"):
        sums.add(torch.ones(1, 3, 5), torch.ones(1, 3, 2))
    with pytest.raises(ValueError, match=r"y has shape \(1, 2, 2\), expected \(1, 3, 2\)"):
        sums.add(torch.ones(1, 3, 4), torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match="y is missing"):
        sums.add(torch.ones(1, 3, 4))
    assert int(sums.moments().count) == 0
    state = sums.moments().state_dict()
    with pytest.raises(ValueError, match="state holds"):
        Moments.from_state_dict({})
    with pytest.raises(ValueError, match=r"yx has shape \(1, 2\), expected \(1, 2, 4\)"):
        Moments.from_state_dict({**state, "yx": state["yy"]})
