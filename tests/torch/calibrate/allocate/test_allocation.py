"""Allocation of patterns to layers, and conversion of unstructured sparsity."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tnm_core.torch import kept_of_m, least_disturbing_mask, prune_model_
from tnm_core.torch.calibrate import collect_statistics
from tnm_core.torch.calibrate.allocate import (
    ScannedLayer,
    Sensitivity,
    allocate,
    check_additivity,
    pareto_front,
    sensitivity_scan,
)


def _network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    ).double()


def _data() -> list[Any]:
    return [torch.randn(60, 8, dtype=torch.float64) for _ in range(3)]


def _random(layers: int = 5, patterns: int = 4) -> Sensitivity:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 20, layers).astype(float)
    share = np.array([1.0, 0.5, 0.5, 0.25])[:patterns]
    loss = np.where(share == 1, 0.0, rng.random((layers, patterns)))
    loss[2, 3] = np.inf
    parameters = sizes[:, None] * share
    return Sensitivity(
        tuple("abcde"[:layers]),
        ("dense", "2:4", "row 2:4", "1:4")[:patterns],
        loss,
        parameters,
        parameters * rng.integers(1, 9, layers)[:, None],
    )


@pytest.mark.parametrize("cost", ["parameters", "multiply_adds"])
@pytest.mark.parametrize("budget", [0.34, 0.5, 0.77, 1.0])
def test_allocation_is_the_best_of_all(cost: Any, budget: float) -> None:
    sensitivity = _random()
    prices = getattr(sensitivity, cost)
    best = math.inf
    for chosen in itertools.product(range(4), repeat=5):
        spent = sum(prices[i, c] for i, c in enumerate(chosen)) / prices[:, 0].sum()
        if spent <= budget:
            best = min(best, sum(sensitivity.loss[i, c] for i, c in enumerate(chosen)))
    found = allocate(sensitivity, budget, cost=cost)
    assert found.loss == pytest.approx(best)
    assert found.cost <= budget + 1e-9
    index = [sensitivity.patterns.index(found.patterns[name]) for name in "abcde"]
    assert found.loss == pytest.approx(sum(sensitivity.loss[i, c] for i, c in enumerate(index)))


def test_budgets_that_nothing_meets_say_the_least() -> None:
    sensitivity = _random()
    prices = sensitivity.parameters
    least = (prices[:, 3].sum() - prices[2, 3] + prices[2, 1]) / prices[:, 0].sum()
    with pytest.raises(ValueError, match=f"no assignment needs less than {least:g}"):
        allocate(sensitivity, least - 0.01)
    assert allocate(sensitivity, least).cost == pytest.approx(least)
    with pytest.raises(ValueError, match="no assignment"):
        allocate(sensitivity, float("nan"))
    with pytest.raises(ValueError, match="cost is 'time'"):
        allocate(sensitivity, 0.5, cost="time")  # type: ignore[arg-type]


def test_pareto_front_falls() -> None:
    front = pareto_front(_random(), np.linspace(0.35, 1.0, 9))
    assert front[-1].loss == 0.0
    assert set(front[-1].patterns.values()) == {"dense"}
    assert all(a.cost < b.cost and a.loss > b.loss for a, b in itertools.pairwise(front))


def test_scan_by_reconstruction_and_by_loss() -> None:
    model, data = _network(), _data()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    statistics = collect_statistics(model, data)
    patterns = ["2:4", "row 2:4", "1:4", "4:8"]
    scan = sensitivity_scan(model, statistics, patterns)
    assert scan.layers == ("0", "2", "4")
    assert scan.patterns == ("dense", *patterns)
    report = prune_model_(_network(), data, "2:4", "least_squares")
    errors = [layer.error for layer in report.pruned]
    np.testing.assert_allclose(scan.loss[:, 1], errors, rtol=1e-9)
    assert (scan.loss[:, 2] < scan.loss[:, 1]).all()
    assert (scan.loss[:, 3] > scan.loss[:, 1]).all()
    assert scan.loss[2, 4] == np.inf
    np.testing.assert_allclose(scan.parameters[:, 3] * 4, [128, 256, 64])
    np.testing.assert_allclose(scan.multiply_adds, scan.parameters * 180)

    batch, wanted = torch.cat(data), _network()(torch.cat(data)).detach()

    def evaluate(network: Any) -> float:
        with torch.no_grad():
            return float((network(batch) - wanted).square().mean())

    measured = sensitivity_scan(model, statistics, patterns[:3], evaluate=evaluate)
    for row, name in enumerate(scan.layers):
        alone = _network()
        prune_model_(alone, data, {name: "2:4"}, "least_squares")
        assert measured.loss[row, 1] == pytest.approx(evaluate(alone))
    for name, value in model.state_dict().items():
        assert torch.equal(before[name], value)
    front = pareto_front(measured, [0.5, 0.75, 1.0])
    checked = check_additivity(model, front, data, evaluate)
    assert [predicted for predicted, _ in checked] == [one.loss for one in front]
    real = [value for _, value in checked]
    assert real == sorted(real, reverse=True)
    assert real[-1] == 0.0
    assert real[0] < 3 * checked[0][0]
    with pytest.raises(ValueError, match="0 patterns and 3 layers"):
        sensitivity_scan(model, statistics, [])
    with pytest.raises(ValueError, match="reconstructs by Adam"):
        sensitivity_scan(model, statistics, ["2:4"], recipe="adaprune")


def test_a_scan_tells_how_far_it_is(capsys: Any) -> None:
    model, data = _network(), _data()
    statistics = collect_statistics(model, data)
    told: list[tuple[ScannedLayer, int, int]] = []
    scan = sensitivity_scan(
        model, statistics, ["2:4", "4:8"], progress=lambda *given: told.append(given)
    )
    assert [(one.name, *rest) for one, *rest in told] == [("0", 1, 3), ("2", 2, 3), ("4", 3, 3)]
    for row, (layer, _, _) in enumerate(told):
        assert layer.losses == {"2:4": scan.loss[row, 1], "4:8": scan.loss[row, 2]}
        assert layer.seconds > 0
    assert capsys.readouterr().err == ""
    sensitivity_scan(model, statistics, ["4:8"], progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"\[1/3\] 0: loss by pattern 4:8 0\.\d+, \d+\.\d s", lines[0])
    assert lines[2].startswith("[3/3] 4: loss by pattern 4:8 inf, ")
    with pytest.raises(TypeError, match="progress is a str, expected a bool or a function"):
        sensitivity_scan(model, statistics, ["4:8"], progress="loud")  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_scan_that_is_stopped_leaves_the_model_as_it_was(error: Any) -> None:
    model, data = _network(), _data()
    statistics = collect_statistics(model, data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calls = []

    def evaluate(network: Any) -> float:
        calls.append(int((network[2].weight == 0).sum()))
        if len(calls) == 4:
            raise error
        return 0.0

    with pytest.raises(error):
        sensitivity_scan(model, statistics, ["2:4", "1:4"], evaluate=evaluate)
    assert calls == [0, 0, 0, 128]
    for name, value in model.state_dict().items():
        assert torch.equal(before[name], value)


def test_kept_of_m_is_the_probability_model() -> None:
    generator = np.random.default_rng(0)
    for rate in (0.2, 0.5, 0.8):
        zeros = (generator.random((100_000, 8)) < rate).sum(1)
        n = kept_of_m(rate, 8, 0.9)
        assert (zeros >= 8 - n).mean() > 0.89
        assert n == 0 or (zeros >= 8 - n + 1).mean() < 0.91
    assert kept_of_m(0.0, 8) == 8
    assert kept_of_m(1.0, 8) == 0
    for rate, confidence, told in ((1.5, 0.9, "zero_rate"), (0.5, 0.0, "confidence")):
        with pytest.raises(ValueError, match=f"{told} is"):
            kept_of_m(rate, 8, confidence)


def test_least_disturbing_mask() -> None:
    weight = torch.randn(4, 4) * (torch.rand(4, 4) < 0.4)
    every = _all_masks()
    lost = [(int(((weight != 0) & ~torch.from_numpy(mask)).sum()),
             float(weight.abs()[~torch.from_numpy(mask)].sum())) for mask in every]  # fmt: skip
    by_count = least_disturbing_mask(weight, 2, 4, objective="count")
    assert (int(((weight != 0) & ~by_count).sum()), float(weight.abs()[~by_count].sum())) == (
        min(lost)[0],
        pytest.approx(min(lost)[1]),
    )
    by_weight = least_disturbing_mask(weight, 2, 4)
    assert float(weight.abs()[~by_weight].sum()) == pytest.approx(min(one for _, one in lost))
    with pytest.raises(ValueError, match="objective is 'x'"):
        least_disturbing_mask(weight, 2, 4, objective="x")  # type: ignore[arg-type]


def _all_masks() -> list[Any]:
    rows = [row for row in itertools.product((False, True), repeat=4) if sum(row) == 2]
    stacked = (np.array(four) for four in itertools.product(rows, repeat=4))
    return [mask for mask in stacked if (mask.sum(0) == 2).all()]
