"""Statistics of the layers of a model: sums of what they get and return, shared or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.torch.calibrate.problems import moments_of
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import Statistics, collect_statistics
from tnm_core.torch.calibrate.data.layer_matrices import input_rows, output_rows


class Absolute(nn.Linear):
    """A linear layer that returns something else than its weight says."""

    def forward(self, given: Any) -> Any:
        return super().forward(given).abs()


class Standardised(nn.Conv2d):
    """A convolution by something else than its weight."""

    def _conv_forward(self, given: Any, weight: Any, bias: Any) -> Any:
        return super()._conv_forward(given, weight - weight.mean(), bias)


class Shared(nn.Module):
    """Layers that get the same input, one of them with a hook that changes its output."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 4), nn.Linear(8, 12), nn.Linear(8, 4)
        self.other, self.out = Absolute(8, 4), nn.Conv2d(2, 4, 3, groups=2, padding=1)
        self.value.register_forward_hook(lambda module, given, output: output**2)
        self.patched, self.standardised = nn.Linear(8, 4), Standardised(4, 4, 1)
        forward = self.patched.forward
        self.patched.forward = lambda given: forward(given).exp()

    def forward(self, x: Any) -> Any:
        parts = (self.query(x), self.key(x), self.value(x), self.other(x))
        image = self.standardised(self.out(torch.cat(parts, -1).reshape(-1, 2, 3, 4)))
        return image.mean() + self.patched(x)


def test_statistics_are_those_of_what_layers_get_and_return() -> None:
    model = Shared()
    data = [torch.randn(5, 8) for _ in range(3)]
    collected = collect_statistics(model, data)
    statistics = collected.layers
    assert statistics["query"].xx is statistics["key"].xx
    assert statistics["query"].xx is not statistics["value"].xx
    assert len(statistics) == 6
    assert collected.own_products == {"standardised"}
    for name, moments in statistics.items():
        layer, calls = model.get_submodule(name), []
        with layer.register_forward_hook(lambda _, x, y, calls=calls: calls.append((x[0], y))):
            model(torch.cat(data))
        given, output = (one.detach() for one in calls[0])
        expected = moments_of(input_rows(layer, given), output_rows(layer, output))
        for key, value in expected.state_dict().items():
            torch.testing.assert_close(moments.state_dict()[key], value, rtol=1e-5, atol=1e-4)


class Attention(nn.Module):
    """Layers that get the same input, unless there is something else for two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Any, context: Any = None, only_query: bool = False) -> Any:
        query = self.query(x)
        if only_query:
            return query
        context = x if context is None else context
        return query + self.key(context) * self.value(context)


def test_layers_that_shared_an_input_may_part_ways() -> None:
    model = Attention()
    data = [torch.randn(5, 8) for _ in range(4)]
    batches = [{"x": data[0]}, {"x": data[1], "context": data[2]},
               {"x": data[3], "only_query": True}]  # fmt: skip
    statistics = collect_statistics(model, batches).layers
    for name, got in (("query", (0, 1, 3)), ("key", (0, 2)), ("value", (0, 2))):
        x = torch.cat([data[index] for index in got])
        expected = moments_of(x[None], model.get_submodule(name)(x).detach()[None])
        for key, value in expected.state_dict().items():
            torch.testing.assert_close(
                statistics[name].state_dict()[key], value, rtol=1e-5, atol=1e-4
            )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for recipe in ("least_squares", "sequential"):
        with pytest.raises(ValueError, match=r"'query' and 'key' get the same input for one batch"):
            prune_model_(model, batches, "2:4", recipe)
        assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


def test_recipes_on_dense_inputs_see_what_layers_return() -> None:
    model = nn.Sequential(Absolute(8, 8), nn.Linear(8, 8))
    data = [torch.randn(40, 8) for _ in range(3)]
    x = torch.cat(data)
    wanted = model[0](x).detach()
    linear = nn.functional.linear(x, model[0].weight, model[0].bias).detach()
    prune_model_(model, data, "2:4", "least_squares", include="0")
    got = nn.functional.linear(x, model[0].weight, model[0].bias).detach()
    # Least squares aims at the absolute values, not at what the weights alone would give.
    assert float((got - wanted).square().sum()) < float((got - linear).square().sum())


def test_statistics_are_saved_and_added_to(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 6))
    data = [torch.randn(4, 4, 5, 5) for _ in range(4)]
    halves = collect_statistics(model, data[:2])
    halves.save(tmp_path / "statistics.pt")
    halves = Statistics.load(tmp_path / "statistics.pt")
    assert collect_statistics(model, data[2:], into=halves) is halves
    whole = collect_statistics(model, data)
    assert list(whole.layers) == list(halves.layers) == ["0", "3"]
    for name, moments in whole.layers.items():
        for key, value in moments.state_dict().items():
            torch.testing.assert_close(halves.layers[name].state_dict()[key], value)
    assert [path.name for path in tmp_path.iterdir()] == ["statistics.pt"]
    torch.save({"other": 1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="holds no calibration statistics"):
        Statistics.load(tmp_path / "other.pt")
    other = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5))
    before = {name: moments.xx.clone() for name, moments in halves.layers.items()}
    with pytest.raises(ValueError, match=r"layer '3': .* \(1, 6, 72\), expected \(1, 5, 72\)"):
        collect_statistics(other, data, into=halves)
    assert all(torch.equal(before[name], one.xx) for name, one in halves.layers.items())
    with pytest.raises(ValueError, match="statistics of other layers"):
        collect_statistics(model, data, exclude="0", into=halves)


def test_layers_without_rows_are_named_until_data_reach_them(tmp_path: Path) -> None:
    class Switch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            return self.first(x[:, :8]) if x.shape[1] == 8 else self.second(x[:, 8:])

    model = Switch()
    statistics = collect_statistics(model, [torch.randn(20, 8)])
    assert set(statistics.layers) == {"first"}
    assert statistics.unreached == {"second"}
    statistics.save(tmp_path / "some.pt")
    loaded = Statistics.load(tmp_path / "some.pt")
    assert loaded.unreached == {"second"}
    collect_statistics(model, [torch.randn(30, 16)], into=loaded)
    assert {name: int(one.count) for name, one in loaded.layers.items()} == {
        "first": 20,
        "second": 30,
    }
    assert loaded.unreached == set()
