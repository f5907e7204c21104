"""Rows of the dense and the pruned model are the same tokens, whatever the models do to them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tnm_core.skip import SkipCode
from tnm_core.torch import prune_model_

WIDTH = 16
Reorder = Callable[[torch.Tensor, torch.Tensor, Callable[..., torch.Tensor]], torch.Tensor]


def by_argsort(h: torch.Tensor, key: torch.Tensor, layer: Any) -> torch.Tensor:
    order = key.argsort()
    y = torch.empty_like(h)
    y[order] = layer(h[order])
    return y


def by_sorted_keys(h: torch.Tensor, key: torch.Tensor, layer: Any) -> torch.Tensor:
    """Keys that are used, too, must fit the order: they cancel out only then."""
    keys, order = key.sort(descending=True)
    back = order.argsort()
    return layer(h[order])[back] + keys[back, None] - key[:, None]


def by_topk_and_scatter(h: torch.Tensor, key: torch.Tensor, layer: Any) -> torch.Tensor:
    order = key.topk(len(key)).indices[:, None].expand_as(h)
    return torch.zeros_like(h).scatter(0, order, layer(h.gather(0, order)))


def by_list(h: torch.Tensor, key: torch.Tensor, layer: Any) -> torch.Tensor:
    order = key.argsort().tolist()
    y = torch.empty_like(h)
    y[order] = layer(torch.stack([h[place] for place in order]))
    return y


def by_numpy(h: torch.Tensor, key: torch.Tensor, layer: Any) -> torch.Tensor:
    order = torch.from_numpy(np.argsort(key.detach().numpy(), kind="stable"))
    y = torch.empty_like(h)
    y[order] = layer(h[order])
    return y


def by_halves(h: torch.Tensor, key: torch.Tensor, layer: Any) -> torch.Tensor:
    """Counts differ between the models, and an empty half is not computed."""
    y = torch.empty_like(h)
    for half in (key > 0, key <= 0):
        if half.any():
            y[half] = layer(h[half])
    return y


def by_largest(h: torch.Tensor, key: torch.Tensor, layer: Any) -> torch.Tensor:
    """One token at a time, the one with the largest key first."""
    y = torch.empty_like(h)
    left = key.clone()
    for _ in range(len(key)):
        place = int(left.max(0).indices)
        y[place] = layer(h[place])
        left[place] = -torch.inf
    return y


WAYS = [by_argsort, by_sorted_keys, by_topk_and_scatter, by_list, by_numpy, by_halves, by_largest]


class Reordered(nn.Module):
    """The same function, whatever its way to reorder tokens by a key that pruning moves."""

    def __init__(self, way: Reorder | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.first, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        if self.way is None:
            return self.layer(h)
        return self.way(h, self.key(h)[:, 0], self.layer)


def make_data(rows: int = 48, batches: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(rows, WIDTH, generator=generator) for _ in range(batches)]


@torch.no_grad()
def relative_error(model: nn.Module, dense: nn.Module, data: list[torch.Tensor]) -> float:
    wanted = [dense(batch) for batch in data]
    error = sum(
        float((model(batch) - one).square().sum()) for batch, one in zip(data, wanted, strict=True)
    )
    return error / sum(float(one.square().sum()) for one in wanted)


def pruned_error(model: nn.Module, data: list[torch.Tensor], recipe: str) -> tuple[float, Any]:
    dense = copy.deepcopy(model)
    report = prune_model_(model, data, "2:4", recipe)
    return relative_error(model, dense, data), report


@pytest.mark.parametrize("recipe", ["least_squares", "sequential", "sparsegpt", "best", "tuned"])
def test_a_sorted_batch_is_pruned_as_an_unsorted_one(recipe: str) -> None:
    plain, _ = pruned_error(Reordered(None), make_data(), recipe)
    found, report = pruned_error(Reordered(by_argsort), make_data(), recipe)
    assert found == pytest.approx(plain, rel=1e-3)
    assert all(layer.remark is None for layer in report.layers)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_reorder(way: Reorder) -> None:
    plain, _ = pruned_error(Reordered(None), make_data(), "sequential")
    found, report = pruned_error(Reordered(way), make_data(), "sequential")
    remarks = [layer.remark for layer in report.pruned]
    if way is by_list and remarks[1] is not None:
        assert remarks[1].code is SkipCode.UNPAIRED
    assert found == pytest.approx(plain, rel=1e-3)


class Mixture(nn.Module):
    """Tokens go to the expert with the highest score; the last one's is out of reach."""

    def __init__(self, experts: int, top: int, chosen: str = "where") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.top, self.chosen = top, chosen
        self.first = nn.Linear(WIDTH, WIDTH)
        self.router = nn.Linear(WIDTH, experts, bias=True)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH))
            for _ in range(experts)
        )
        self.router.bias.data[-1] = -1e3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        weights, picked = self.router(h).softmax(-1).topk(self.top, -1)
        y = torch.zeros_like(h)
        for number, expert in enumerate(self.experts):
            tokens, rank = torch.where(picked == number)
            if self.chosen == "skip" and not len(tokens):
                continue
            y.index_add_(0, tokens, expert(h[tokens]) * weights[tokens, rank, None])
        return y


@pytest.mark.parametrize(("top", "chosen"), [(1, "where"), (2, "skip")])
@pytest.mark.parametrize("recipe", ["sequential", "best", "tuned"])
def test_mixtures_of_experts(recipe: str, top: int, chosen: str) -> None:
    data = make_data(rows=200)
    plain, _ = pruned_error(Mixture(5, top, chosen), data, "magnitude")
    found, report = pruned_error(Mixture(5, top, chosen), data, recipe)
    assert found < 0.75 * plain
    left = {layer.name: layer.skip.code for layer in report.skipped if layer.skip is not None}
    assert left.pop("experts.4.0") is left.pop("experts.4.2") is SkipCode.NEVER_CALLED
    assert set(left) <= {"router"}
    assert all(layer.remark is None for layer in report.layers)
    for layer in report.pruned:
        assert layer.error is not None
        assert layer.error < 0.6


def test_order_of_experts_that_the_first_batch_does_not_reach() -> None:
    """They are pruned when their turn comes, not after all others."""
    model, data = Mixture(3, 1), make_data(rows=40)
    model.after = nn.Linear(WIDTH, WIDTH)
    with torch.no_grad():
        picked = model.router(model.first(data[0])).argmax(-1)
    data = [data[0][picked == 1], *data]
    seen: list[str] = []
    forward = lambda model, batch: model.after(model(batch))  # noqa: E731
    prune_model_(model, data, "2:4", forward=forward, exclude="router",
                 progress=lambda layer, *_: seen.append(layer.name))  # fmt: skip
    assert seen == ["first", *(f"experts.{e}.{k}" for e in (0, 1) for k in (0, 2)), "after"]


class LeftOn(nn.Module):
    """Dropout that evaluation mode does not switch off."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rate = rate
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(functional.dropout(self.first(x), self.rate, training=True))


def test_both_models_draw_the_same_random_numbers() -> None:
    data = make_data(rows=300)
    errors = {}
    for rate in (0.0, 0.5):
        report = prune_model_(LeftOn(rate), data, "2:4", "sequential", include="second")
        errors[rate] = report.pruned[0].error
    again = prune_model_(LeftOn(0.5), data, "2:4", "sequential", include="second")
    assert again.pruned[0].error == errors[0.5]
    assert errors[0.5] < 2 * errors[0.0]  # with masks of their own, three times


class Fork(nn.Module):
    """Which module runs depends on a number that pruning moves; no way to pair rows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(WIDTH, WIDTH)
        self.layer, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.seen: float | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        size = float(h.detach().square().mean())
        self.seen = size if self.seen is None else self.seen
        h = h[:20] if abs(size - self.seen) < 1e-4 * size else h[7:35]
        return self.last(self.layer(h))


@pytest.mark.parametrize("recipe", ["best", "tuned"])
def test_layers_that_cannot_be_paired_say_so(recipe: str) -> None:
    data = make_data(batches=1)
    report = prune_model_(Fork(), data, "2:4", recipe)
    first, layer, last = report.layers
    assert first.remark is None
    for one in (layer, last):
        assert one.remark is not None
        assert one.remark.code is SkipCode.UNPAIRED
        assert str(one.remark) == one.to_record()["remark"]
        assert "dense model alone" in str(report)
    alone = Fork()
    expected = prune_model_(alone, data, "2:4", "best", include="layer")
    assert layer.error == pytest.approx(expected.layers[1].error)
    assert report.blocks == ()
    if recipe == "tuned":
        assert report.untuned[""].code is SkipCode.NOT_TUNED
        assert "not tuned" in str(report)


class InPlace(nn.Module):
    """A block that writes into what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.in_place = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH), True

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        if not self.in_place:
            return stream + self.down(self.up(stream).relu())
        stream += self.down(self.up(stream).relu())
        return stream


def test_blocks_that_write_into_their_input_get_it_anew() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), InPlace(), InPlace())
    other = copy.deepcopy(model)
    for block in other[1:]:
        block.in_place = False
    data = make_data()
    prune_model_(model, data, "2:4")
    prune_model_(other, data, "2:4")
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, msg=name)
