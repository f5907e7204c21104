"""Recipes of training on layers that keep packed forms of their weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from tnm_core.torch import (
    SRSTE,
    DynamicMask,
    StaticMask,
    masks,
    sparsify_,
    to_sparse_linear_,
)


def _model() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8))


def _train(model: Any, hooks: list[Any], steps: int = 12) -> list[float]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    for hook in hooks:
        hook.attach(model, optimizer)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(steps):
        inputs = torch.randn(24, 16, generator=generator)
        loss = (model(inputs) - inputs[:, :8].tanh()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


RECIPES = {
    "static": lambda: [StaticMask()],
    "dynamic": lambda: [DynamicMask(every=3)],
    "sr-ste": lambda: [SRSTE(decay=1e-2)],
    "dynamic, sr-ste": lambda: [DynamicMask(every=3), SRSTE(decay=1e-2)],
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("pattern", ["2:4", "row 2:4"])
@pytest.mark.parametrize("backend", ["dense", "emulate"])
def test_like_masked_layers(recipe: str, backend: str, pattern: str) -> None:
    plain, packed = _model(), _model()
    sparsify_(plain, pattern)
    to_sparse_linear_(packed, pattern, backend=backend)
    expected = _train(plain, RECIPES[recipe]())
    assert _train(packed, RECIPES[recipe]()) == pytest.approx(expected, rel=1e-4)
    assert expected[-1] < expected[0]
    after = masks(packed)
    for name, mask in masks(plain).items():
        assert torch.equal(after[name], mask)


def test_a_compiled_layer_trains_with_sr_ste_alone() -> None:
    model = _model()
    to_sparse_linear_(model, "2:4", backend="emulate")
    twin = copy.deepcopy(model)
    expected = _train(twin, [SRSTE(decay=1e-2)], steps=4)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert _train(compiled, [SRSTE(decay=1e-2)], steps=4) == pytest.approx(expected, rel=1e-6)
