"""The copy of the dense model, which shares what pruning does not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.torch.networks import token_stack
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import Recipe
from tnm_core.torch.calibrate.model import prune_layers as pruning
from tnm_core.torch.calibrate.model.prune_layers import dense_reference


def test_the_reference_copies_only_what_changes() -> None:
    model = token_stack()
    model.register_buffer("table", torch.arange(3.0))
    model.tied = model.embedding.weight
    model.part = nn.Parameter(model.blocks[0].up.weight.detach()[:2])  # the same memory
    copied = dense_reference(model, [model.blocks[0].up.weight, model.blocks[0].up.bias])
    own = dict(model.named_parameters(remove_duplicate=False))
    different = {
        name
        for name, one in copied.named_parameters(remove_duplicate=False)
        if one is not own[name]
    }
    assert different == {"blocks.0.up.weight", "blocks.0.up.bias", "part"}
    assert copied.table is not model.table
    assert copied.tied is copied.embedding.weight
    with torch.no_grad():
        model.blocks[0].up.weight.zero_()
    assert bool(copied.blocks[0].up.weight.all())
    assert bool(copied.part.all())
    torch.testing.assert_close(copied.part, copied.blocks[0].up.weight[:2])


def test_pruning_copies_the_weights_of_selected_layers_alone(monkeypatch: Any) -> None:
    seen = []

    def spy(*given: Any) -> Any:
        seen.append(dense_reference(*given))
        return seen[-1]

    monkeypatch.setattr(pruning, "dense_reference", spy)
    for recipe, norms in (("sequential", False), (Recipe(search="one_shot", tune_epochs=1), True)):
        model = token_stack()
        own = dict(model.named_parameters())
        prune_model_(model, [torch.arange(50).view(5, 10)] * 2, "2:4", recipe, include="blocks.1.*")
        copied = {n for n, one in seen[-1].named_parameters() if one is not own[n]}
        expected = {f"blocks.1.{n}.{k}" for n in ("up", "down") for k in ("weight", "bias")}
        if norms:
            expected |= {"blocks.1.norm.weight", "blocks.1.norm.bias"}
        assert copied == expected


def test_parameters_without_shape_or_data_are_no_obstacle() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LazyLinear(3), nn.Linear(2, 2, device="meta"))
    copied = dense_reference(model, [model[0].weight])
    assert copied[0].weight is not model[0].weight
    assert copied[0].bias is model[0].bias
    assert isinstance(copied[1].weight, nn.UninitializedParameter)
    assert copied[2].weight.is_meta
