"""The parts of post-training pruning, each against a naive or dense reference."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core as tnm
from tnm_core.torch.calibrate import (
    Pattern,
    Moments,
    RankDeficientWarning,
)
from tnm_core.torch.calibrate.data.layer_matrices import (
    layer_matrices_of,
    input_rows,
    output_rows,
    as_pattern,
)
from tnm_core.torch.calibrate.solvers.adaprune import absorb_mean, adam_reconstruction
from tnm_core.torch.calibrate.solvers.admm import admm_mask
from tnm_core.torch.calibrate.solvers.criteria import CRITERIA, scores_of
from tnm_core.torch.calibrate.solvers.layer_least_squares import (
    LayerLeastSquares,
    layer_least_squares_of,
)
from tnm_core.torch.calibrate.solvers.least_squares import (
    conjugate_gradient,
    least_squares,
)
from tnm_core.torch.calibrate.solvers.sparsegpt import sparsegpt_mask

ROWS, COLUMNS, OUTPUTS = 300, 24, 16


def _data(seed: int = 0, rows: int = ROWS, columns: int = COLUMNS) -> tuple[Any, Any, Any]:
    """Correlated inputs with a mean, noisy wanted outputs, and a dense weight."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(columns, columns, generator=generator, dtype=torch.float64)
    x = torch.randn(1, rows, columns, generator=generator, dtype=torch.float64) @ mix + 0.5
    weight = torch.randn(1, OUTPUTS, columns, generator=generator, dtype=torch.float64)
    noise = torch.randn(1, rows, OUTPUTS, generator=generator, dtype=torch.float64)
    return x, x @ weight.transpose(1, 2) + noise + 1.0, weight


def _problem(damping: float = 0.1, **options: Any) -> LayerLeastSquares:
    x, y, weight = _data()
    moments = Moments(1, COLUMNS, OUTPUTS)
    moments.add(x, y)
    return layer_least_squares_of(moments, weight, damping=damping, **options)


def _mask(seed: int = 1) -> Any:
    """Rows that keep different numbers of entries, one of them nothing."""
    mask = torch.rand(1, OUTPUTS, COLUMNS, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask[0, 3] = False
    return mask


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_moments_do_not_depend_on_the_batches(dtype: Any) -> None:
    x, y, _ = _data(rows=5000)
    x, y = x.to(dtype), y.to(dtype)
    moments = Moments(1, COLUMNS, OUTPUTS)
    for start, stop in ((0, 1), (1, 4000), (4000, 4000), (4000, 5000)):
        moments.add(x[:, start:stop], y[:, start:stop])
    exact_x, exact_y = x[0].double().numpy(), y[0].double().numpy()
    assert int(moments.count) == 5000
    np.testing.assert_allclose(moments.xx[0], exact_x.T @ exact_x, rtol=1e-12)
    np.testing.assert_allclose(moments.yx[0], exact_y.T @ exact_x, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(moments.yy[0], (exact_y**2).sum(0), rtol=1e-12)
    np.testing.assert_allclose(moments.x[0], exact_x.sum(0), rtol=1e-12)
    copied = Moments.from_state_dict(moments.state_dict())
    copied.add(x, y)
    assert int(copied.count) == 10000
    assert int(moments.count) == 5000


@pytest.mark.parametrize("columns", [255, 256, 257, 600])
def test_moments_of_many_columns_are_symmetric(columns: int) -> None:
    x = torch.randn(2, 70, columns, dtype=torch.float64)
    moments = Moments(2, columns, 0)
    for rows in (x[:, :30], x[:, 30:31], x[:, 31:]):
        moments.add(rows)
    lower, upper = moments.xx.transpose(1, 2), moments.xx
    torch.testing.assert_close(lower, upper, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(moments.xx, x.transpose(1, 2) @ x, rtol=1e-12, atol=1e-12)
    moments.add(x)  # after it was read
    twice = Moments.from_state_dict(moments.state_dict())
    torch.testing.assert_close(twice.xx, 2 * x.transpose(1, 2) @ x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("with_bias", [True, False])
def test_moments_of_outputs_follow_from_those_of_inputs(with_bias: bool) -> None:
    x, _, weight = _data()
    bias = torch.randn(1, OUTPUTS, dtype=torch.float64) if with_bias else None
    inputs, expected = Moments(1, COLUMNS, 0), Moments(1, COLUMNS, OUTPUTS)
    inputs.add(x)
    expected.add(x, x @ weight.transpose(1, 2) + (0.0 if bias is None else bias[:, None]))
    got = inputs.with_outputs(weight, bias)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(got.state_dict()[name], value, rtol=1e-9, atol=1e-9)
    assert got.xx is inputs.xx
    for one in (got, inputs):
        with pytest.raises(ValueError, match="share their sums"):
            one.add(x)
    copied = inputs.copy()
    copied.add(x)
    assert [int(copied.count), int(inputs.count)] == [2 * ROWS, ROWS]
    both = got.plus(expected)
    torch.testing.assert_close(both.yy, 2 * expected.yy)
    assert [int(both.count), int(got.count)] == [2 * ROWS, ROWS]
    with pytest.raises(ValueError, match=r"shape \(1, 0, 24\), expected \(1, 16, 24\)"):
        got.plus(inputs)


def test_moments_refuse_other_shapes() -> None:
    moments = Moments(1, 4, 2)
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 5\), expected \(1, rows, 4\)"):
        moments.add(torch.ones(1, 3, 5), torch.ones(1, 3, 2))
    with pytest.raises(ValueError, match=r"y has shape \(1, 2, 2\), expected \(1, 3, 2\)"):
        moments.add(torch.ones(1, 3, 4), torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match="y is missing"):
        moments.add(torch.ones(1, 3, 4))
    with pytest.raises(ValueError, match="state holds"):
        Moments.from_state_dict({})
    assert int(moments.count) == 0


LAYERS = [
    nn.Linear(6, 10),
    nn.Conv2d(6, 10, 3),
    nn.Conv2d(8, 12, (3, 2), stride=2, padding=1, groups=2),
    nn.Conv2d(6, 10, 3, dilation=2, padding="same"),
    nn.Conv2d(6, 10, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(6, 10, 1, bias=False),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_layer_is_its_problems(layer: Any) -> None:
    layer = layer.double()
    geometry = layer_matrices_of(layer)
    linear = isinstance(layer, nn.Linear)
    given = torch.randn(3, 7, 6) if linear else torch.randn(3, layer.in_channels, 9, 8)
    given = given.double()
    output = layer(given).detach()
    rows = input_rows(layer, given, geometry)
    matrices = geometry.matrices(layer.weight.detach())
    product = rows @ matrices.transpose(1, 2)
    if layer.bias is not None:
        product = product + layer.bias.detach().view(geometry.groups, 1, -1)
    torch.testing.assert_close(product, output_rows(layer, output, geometry))
    assert torch.equal(geometry.weight(matrices), layer.weight)


@pytest.mark.parametrize("layer", LAYERS[:3], ids=str)
@pytest.mark.parametrize("pattern", ["2:4", "1:4", "row 2:4"])
def test_masks_of_problems_are_those_of_the_weight(layer: Any, pattern: str) -> None:
    geometry, wanted = layer_matrices_of(layer), as_pattern(pattern)
    scores = torch.rand(layer.weight.shape, dtype=torch.float64)
    mask = geometry.weight(geometry.project(geometry.matrices(scores), wanted))
    by_group = scores.numpy().reshape(geometry.groups, -1, geometry.channels, geometry.positions)
    for group, position in np.ndindex(geometry.groups, geometry.positions):
        values = by_group[group, :, :, position]
        if wanted.transposable:
            expected = tnm.transposable_mask(values, wanted.n, 4, score="identity")
        else:
            expected = tnm.nm_mask(values, wanted.n, 4, score="identity")
        got = mask.numpy().reshape(by_group.shape)[group, :, :, position]
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("damping", [0.0, 0.1])
@pytest.mark.parametrize("solver", ["cholesky", "dropped", "conjugate_gradient"])
@pytest.mark.parametrize("centre", [True, False])
def test_least_squares_is_that_of_a_dense_solver(damping: float, solver: Any, centre: bool) -> None:
    x, y, dense = _data()
    bias = torch.randn(1, OUTPUTS, dtype=torch.float64)
    problem = _problem(damping, bias=bias, centre=centre)
    mask = _mask()
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
def test_masks_that_keep_most_have_the_same_least_squares(share: float) -> None:
    problem = _problem()
    mask = torch.rand(1, OUTPUTS, COLUMNS, generator=torch.Generator().manual_seed(2)) < share
    assert "inverse" not in vars(problem)
    weight = least_squares(problem, mask)
    assert ("inverse" in vars(problem)) == (share > 0.5)  # systems of the dropped columns
    expected = least_squares(problem, mask, solver="cholesky")
    torch.testing.assert_close(weight, expected, rtol=1e-9, atol=1e-11)
    assert not bool(weight[~mask].any())


def test_least_squares_without_an_inverse_are_solved_by_rows() -> None:
    x, y, weight = _data(rows=10)
    moments = Moments(1, COLUMNS, OUTPUTS)
    moments.add(x, y)
    with pytest.warns(RankDeficientWarning):
        problem = layer_least_squares_of(moments, weight, damping=0.0)
    assert float(torch.linalg.cond(problem.hessian)[0]) > 1e10
    mask = torch.rand(1, OUTPUTS, COLUMNS, generator=torch.Generator().manual_seed(2)) < 0.9
    by_rows = least_squares(problem, mask, solver="cholesky")
    torch.testing.assert_close(least_squares(problem, mask, solver="dropped"), by_rows)


@pytest.mark.parametrize("alpha", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("centre", [True, False])
def test_relative_error_is_that_of_the_outputs(alpha: float, centre: bool) -> None:
    x, y, dense = _data()
    bias = torch.randn(1, OUTPUTS, dtype=torch.float64)
    problem = _problem(alpha=alpha, bias=bias, centre=centre)
    weight = dense * _mask()
    wanted = alpha * y + (1 - alpha) * (x @ dense.transpose(1, 2) + bias[:, None])
    if not centre:
        wanted = wanted - bias[:, None]
    error = wanted - x @ weight.transpose(1, 2)
    if centre:
        error, wanted = error - error.mean(1, keepdim=True), wanted - wanted.mean(1, keepdim=True)
    expected = float(error.square().sum() / wanted.square().sum())
    assert problem.relative_error(weight) == pytest.approx(expected, rel=1e-9)


def test_outputs_of_a_problem_share_its_spectrum() -> None:
    problem = _problem()
    values, vectors = problem.spectrum
    part = problem.outputs(slice(4, 8))
    assert part.spectrum is problem.spectrum
    scale = problem.diagonal.sqrt()[0]
    scaled = problem.hessian[0] / (scale[:, None] * scale)
    torch.testing.assert_close(
        (vectors * values[:, None]) @ vectors.transpose(1, 2), scaled[None].float()
    )
    mask = _mask()
    whole = least_squares(problem, mask)
    torch.testing.assert_close(least_squares(part, mask[:, 4:8]), whole[:, 4:8])


def test_rank_deficient_data_are_damped_with_a_warning() -> None:
    x, y, weight = _data(rows=10)
    moments = Moments(1, COLUMNS, OUTPUTS)
    moments.add(x, y)
    for damping in (0.0, 0.1):
        with pytest.warns(RankDeficientWarning, match=r"'fc': .* rank at most 9 of 24 columns"):
            problem = layer_least_squares_of(moments, weight, name="fc", damping=damping)
        assert float(problem.damping[0]) > 0
        assert bool(least_squares(problem, _mask()).isfinite().all())
    constant = Moments(1, COLUMNS, OUTPUTS)
    constant.add(torch.zeros_like(x), y)
    with pytest.warns(RankDeficientWarning, match="damped by 1"):
        problem = layer_least_squares_of(constant, weight)
    mask = _mask()
    torch.testing.assert_close(least_squares(problem, mask), weight * mask)


def test_data_that_cannot_be_used_are_refused() -> None:
    x, y, weight = _data()
    moments = Moments(1, COLUMNS, OUTPUTS)
    with pytest.raises(ValueError, match="no calibration data reached layer 'fc'"):
        layer_least_squares_of(moments, weight, name="fc")
    x[0, 5, 2] = float("nan")
    moments.add(x, y)
    with pytest.raises(ValueError, match="layer 'fc' has calibration data with NaN"):
        layer_least_squares_of(moments, weight, name="fc")


def test_criteria() -> None:
    problem = _problem()
    weight, hessian = problem.dense[0].numpy(), problem.hessian[0].numpy()
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


def _projection(pattern: Pattern) -> tuple[Any, Any]:
    geometry = layer_matrices_of(nn.Linear(COLUMNS, OUTPUTS))
    return geometry, lambda scores: geometry.project(scores, pattern)


def _naive_sparsegpt(problem: LayerLeastSquares, n: int, m: int) -> tuple[Any, Any]:
    """Eliminate a column at a time from the inverse Hessian, as optimal brain surgeon does."""
    hessian = problem.hessian[0].numpy()
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
    problem = _problem()
    geometry, project = _projection(Pattern(2, 4))
    mask, weight = sparsegpt_mask(problem, project, geometry.tiles_of_columns(4))
    expected_mask, expected = _naive_sparsegpt(problem, 2, 4)
    np.testing.assert_array_equal(mask[0], expected_mask)
    np.testing.assert_allclose(weight[0], expected, atol=1e-9)


def _naive_admm(problem: LayerLeastSquares, n: int, m: int, steps: int) -> Any:
    scale = np.sqrt(np.diag(problem.hessian[0].numpy()))
    hessian = problem.hessian[0].numpy() / np.outer(scale, scale)
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
    problem = _problem()
    _, project = _projection(Pattern(n, 4))
    mask = admm_mask(problem, project, steps=30)
    np.testing.assert_array_equal(mask[0], _naive_admm(problem, n, 4, 30))
    assert tnm.is_transposable(mask[0].numpy(), n, 4)
    one_shot = project(scores_of(problem, "wanda_square"))
    errors = [problem.relative_error(least_squares(problem, one)) for one in (mask, one_shot)]
    assert errors[0] < 0.95 * errors[1]


def test_adam_comes_close_to_least_squares() -> None:
    x, y, dense = _data()
    scale = x.std()
    x = x / scale
    mask = _mask()
    weight, bias = adam_reconstruction(
        x, y, dense * scale, torch.zeros(1, OUTPUTS), mask, iterations=3000, rate=3e-2,
        bias_rate=3e-2, batch=300,
    )  # fmt: skip
    assert bias is not None
    assert not bool(weight[~mask].any())
    moments = Moments(1, COLUMNS, OUTPUTS)
    moments.add(x, y)
    problem = layer_least_squares_of(moments, dense * scale, damping=0.0)
    best = problem.relative_error(least_squares(problem, mask))
    reached = (y - x @ weight.transpose(1, 2) - bias).square().sum()
    assert float(reached / (y - y.mean(1)).square().sum()) < 1.05 * best
    same = [adam_reconstruction(x, y, dense, None, mask, iterations=5) for _ in range(2)]
    assert torch.equal(same[0][0], same[1][0])
    assert same[0][1] is None


def test_absorb_mean() -> None:
    weight = torch.tensor([[4.0, 1.0, 3.0, 6.0, 5.0, 2.0]])
    mask = torch.tensor([[True, False, False, True, True, False]])
    expected = torch.tensor([[6.0, 0.0, 0.0, 8.0, 7.0, 0.0]])
    assert torch.equal(absorb_mean(weight, mask, 4), expected)


@pytest.mark.parametrize("centre", [True, False])
def test_inputs_that_do_not_vary_leave_no_error(centre: bool) -> None:
    """Their variance would be what rounding leaves of it."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        x = torch.randn(1, 1, 16, generator=generator).expand(1, 111, 16)
        dense = torch.randn(1, OUTPUTS, 16, generator=generator, dtype=torch.float64)
        moments = Moments(1, 16, 0)
        moments.add(x)
        told = (
            pytest.warns(RankDeficientWarning, match="rank at most 0") if centre else nullcontext()
        )
        with told:
            problem = layer_least_squares_of(moments.with_outputs(dense), dense, centre=centre)
        mask = torch.rand(1, OUTPUTS, 16, generator=generator) < 0.5
        error = problem.relative_error(least_squares(problem, mask))
        assert error == 0.0 if centre else error < 1.0
