"""What a model calibrated at a row-wise pattern can do: all that a transposable one can."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import tnm_core as tnm
from tests.support.torch_layers import assert_close
from tnm_core.torch import (
    RowWiseLinear,
    StaticMask,
    dense_state_dict,
    load_packed_,
    masks,
    pack_for_inference_,
    prune_model_,
    remove_sparsity_,
    repack_after_step,
    sparsify_,
    to_sparse_linear_,
    train_sparse_,
)


def _dense() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16), nn.Linear(16, 3))


def _calibrated() -> Any:
    model = _dense()
    report = prune_model_(model, [torch.randn(96, 16) for _ in range(2)], "row 2:4", "sequential")
    assert [layer.name for layer in report.pruned] == ["0", "2"]
    for layer in report.pruned:
        mask = masks(model)[layer.name]
        assert (layer.pattern, layer.density) == ("row 2:4", 0.5)
        assert (mask.view(len(mask), -1, 4).sum(-1) == 2).all()
        assert not tnm.is_transposable(mask.numpy(), 2, 4)
    return model


def _train(model: Any, steps: int = 3) -> Any:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    training = train_sparse_(model, optimizer, "row 2:4", total_steps=steps)
    repack_after_step(optimizer, model)
    for step in range(steps):
        x = torch.randn(8, 16, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (model(x) - x[:, :3]).square().mean().backward()
        optimizer.step()
    return training


@pytest.fixture(scope="module")
def calibrated() -> Any:
    return _calibrated()


@pytest.fixture
def model(calibrated: Any) -> Any:
    return copy.deepcopy(calibrated)


X = torch.randn(5, 16, generator=torch.Generator().manual_seed(7))


def test_its_masks_stay_in_training(model: Any) -> None:
    before, weight = masks(model), model[0].weight.detach().clone()
    training = _train(model)
    assert (training.recipe, training.report) == ("static", None)
    assert isinstance(training.masks, StaticMask)
    for name, mask in masks(model).items():
        assert torch.equal(mask, before[name])
        assert not (model.get_submodule(name).weight[~mask] != 0).any()
    assert not torch.equal(model[0].weight, weight)


def test_it_is_converted_and_trains_alike(model: Any) -> None:
    converted, kept = copy.deepcopy(model), masks(model)
    remove_sparsity_(converted)
    report = to_sparse_linear_(converted, "row 2:4", backend="cpu", masks=kept)
    assert list(report.converted) == ["0", "2"]
    assert isinstance(converted[0], RowWiseLinear)
    assert all(torch.equal(mask, kept[name]) for name, mask in masks(converted).items())
    assert_close(converted(X), model(X))
    assert _train(converted).recipe == "static"
    _train(model)
    assert_close(converted(X), model(X))
    with pytest.raises(ValueError, match="has parametrizations: remove them first"):
        to_sparse_linear_(model, "row 2:4")


def test_its_states_are_loaded_again(model: Any) -> None:
    again, plain, zeros = _dense(), _dense(), _dense()
    sparsify_(again, "row 2:4")
    again.load_state_dict(model.state_dict())
    plain.load_state_dict(dense_state_dict(model))
    sparsify_(zeros, "row 2:4")
    zeros.load_state_dict(dense_state_dict(model))
    for other in (again, plain, zeros):
        assert torch.equal(other(X), model(X))
    for name, mask in masks(model).items():
        assert torch.equal(masks(again)[name], mask)
        assert torch.equal(masks(zeros)[name], mask)


def test_it_is_packed_for_inference(model: Any) -> None:
    expected = model(X)
    report = pack_for_inference_(model, backend="cpu")
    assert [one.density for one in report.packed.values()][:2] == [0.5, 0.5]
    assert_close(model(X), expected)
    again = _dense()
    load_packed_(again, model.state_dict())
    assert torch.equal(again(X), model(X))
