"""Writes into the weight that a masked layer shows do not vanish without a word."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.torch.networks import dense_weight
from tests.torch.refusals import assert_refused
from tnm_core.torch import masks, sparsify_

X = torch.ones(1, 16)


def _layer() -> Any:
    model = nn.Sequential(nn.Linear(16, 16, bias=False))
    sparsify_(model, "2:4")
    return model[0]


@torch.no_grad()
def _add(layer: Any) -> None:
    layer.weight.add_(1)


@torch.no_grad()
def _set_an_entry(layer: Any) -> None:
    layer.weight[0, 0] = 5


WRITES: list[Callable[[Any], object]] = [
    lambda layer: layer.reset_parameters(),
    lambda layer: nn.init.zeros_(layer.weight),
    lambda layer: nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5)),
    _add,
    _set_an_entry,
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("write", WRITES)
def test_writes_are_found_once(write: Callable[[Any], object], training: bool) -> None:
    layer = _layer().train(training)
    before = layer.weight.clone()
    write(layer)
    told = ("layer '0'", "layer.parametrizations.weight.original", "layer.weight = values")
    assert_refused(lambda: layer(X), RuntimeError, *told)
    assert torch.equal(layer.weight, before)
    layer(X)


def test_writes_in_evaluation_are_found_in_training() -> None:
    layer = _layer().eval()
    with torch.no_grad():
        layer.weight.mul_(2)
    layer.train()
    assert_refused(lambda: layer(X), RuntimeError, "layer '0'")
    layer(X)


def test_writes_are_found_without_gradients() -> None:
    layer = _layer()
    with torch.no_grad():
        layer.weight.mul_(2)
        assert_refused(lambda: layer.weight, RuntimeError, "layer '0'")


def test_biased_layers_are_reset_with_an_error() -> None:
    model = nn.Sequential(nn.Linear(16, 16))
    sparsify_(model)
    assert_refused(model[0].reset_parameters, RuntimeError, "layer '0'", "reset_parameters")


def test_reading_is_no_writing() -> None:
    layer = _layer()
    for look in (torch.clone, torch.detach, lambda one: one * 2, lambda one: one.double()):
        look(layer.weight)
        layer(X).sum().backward()
    layer.weight.data.abs().max()
    layer.weight.detach().clone().zero_()
    layer.eval()
    with torch.inference_mode():
        layer(X)
        layer.weight.sum()
    layer(X)


def test_weights_that_are_shown_are_not_kept() -> None:
    layer = _layer()
    storage = layer.weight.untyped_storage()._weak_ref()
    assert torch.UntypedStorage._expired(storage)


def test_assignments_are_no_lost_writes() -> None:
    layer, values = _layer(), torch.randn(16, 16)
    with torch.no_grad():
        layer.weight += 1
    assert torch.equal(layer.weight, dense_weight(layer) * masks(layer)[""])
    layer.weight = values
    assert torch.equal(layer.weight, values * masks(layer)[""])


def test_copies_do_not_raise_for_the_original() -> None:
    layer = _layer()
    nn.init.zeros_(layer.weight)
    copy.deepcopy(layer)(X)
    assert_refused(lambda: layer(X), RuntimeError, "layer '0'")


class _Adapted(nn.Module):
    """A layer and a low-rank adapter beside it, named as adapters usually are."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(16, 16, bias=False).requires_grad_(False)
        self.lora_A = nn.Linear(16, 8, bias=False)
        self.lora_B = nn.Linear(8, 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base_layer(x) + self.lora_B(self.lora_A(x))

    @torch.no_grad()
    def delta(self) -> torch.Tensor:
        return self.lora_B.weight @ self.lora_A.weight


@pytest.mark.parametrize("training", [True, False])
def test_adapters_are_merged_into_the_dense_weight(training: bool) -> None:
    adapted = _Adapted().train(training)
    sparsify_(adapted, "2:4")
    assert list(masks(adapted)) == ["base_layer"], "adapters are not pruned unless asked"
    base, mask = adapted.base_layer, masks(adapted)["base_layer"]
    expected = (dense_weight(base) + adapted.delta()) * mask
    base(X)
    with torch.no_grad():
        dense_weight(base).add_(adapted.delta())
    torch.testing.assert_close(base.weight, expected)
    assert torch.equal(base(X), nn.functional.linear(X, base.weight))
