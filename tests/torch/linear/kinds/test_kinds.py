"""Pointwise convolutions and Conv1D of transformers with transposable masks."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from tests.support.torch_layers import EXACT, assert_close
from tnm_core.check import check_mask
from tnm_core.torch import DynamicMask, SpeedTable, masks, to_sparse_linear_

BACKENDS_HERE = ["cpu", "dense", "emulate"]


def _conv1d() -> nn.Module:
    layer = Conv1D(96, 64)  # (out, in), stored as (in, out)
    nn.init.normal_(layer.bias)
    return layer


KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv1d": (_conv1d, (3, 5, 64)),
    "conv1d, one row": (_conv1d, (64,)),
    "pointwise 1d": (lambda: nn.Conv1d(64, 96, 1), (2, 64, 7)),
    "pointwise 2d": (lambda: nn.Conv2d(64, 96, 1), (2, 64, 5, 6)),
    "one image": (lambda: nn.Conv2d(64, 96, 1), (64, 5, 6)),
    "strides": (lambda: nn.Conv2d(64, 96, (1, 1), stride=(2, 3)), (2, 64, 5, 7)),
    "same": (lambda: nn.Conv2d(64, 96, 1, padding="same", bias=False), (2, 64, 5, 6)),
}


def _pair(kind: str, backend: str, pattern: str = "2:4") -> tuple[Any, Any, torch.Tensor]:
    """Make a sparse layer, a dense one with its masked weight, and an input."""
    make, shape = KINDS[kind]
    dtype = EXACT[backend]
    torch.manual_seed(0)
    model = nn.Sequential(make().to(dtype))
    dense = copy.deepcopy(model[0])
    weight = model[0].weight
    report = to_sparse_linear_(model, pattern, backend=backend)
    assert model[0].weight is weight
    assert list(report.converted) == ["0"]
    with torch.no_grad():
        dense.weight.copy_(model[0].masked_weight())
    return model[0], dense, torch.randn(shape, dtype=dtype)


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("kind", KINDS)
def test_products_and_gradients(kind: str, backend: str) -> None:
    sparse, dense, x = _pair(kind, backend)
    twin = x.clone().requires_grad_()
    x.requires_grad_()
    found, expected = sparse(x), dense(twin)
    assert_close(found, expected)
    upstream = torch.randn_like(expected)
    found.backward(upstream)
    expected.backward(upstream)
    assert_close(x.grad, twin.grad)
    assert sparse.weight.grad.shape == dense.weight.grad.shape
    assert_close(sparse.weight.grad, dense.weight.grad)
    if sparse.bias is not None:
        assert_close(sparse.bias.grad, dense.bias.grad)


@pytest.mark.parametrize("kind", ["conv1d", "pointwise 2d"])
def test_masks_are_transposable_and_follow_training(kind: str) -> None:
    make, shape = KINDS[kind]
    model = nn.Sequential(make())
    to_sparse_linear_(model, "4:8", backend="cpu")
    layer, shape_of_weight = model[0], tuple(model[0].weight.shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    for _ in range(2):
        model(torch.randn(shape)).square().sum().backward()
        optimizer.step()
        mask = masks(model)["0"]
        assert tuple(mask.shape) == shape_of_weight
        assert check_mask(mask.reshape(shape_of_weight[:2]).numpy(), "4:8").valid
    assert any(record.flip_rate for record in dynamic.statistics)
    x = torch.randn(shape)
    with torch.no_grad():
        found = model(x)
        layer.backend = "dense"
        layer.repack()
        assert_close(found, model(x))


@pytest.mark.parametrize("kind", ["conv1d", "pointwise 2d"])
def test_compiling_copying_and_loading(kind: str) -> None:
    sparse, _, x = _pair(kind, "cpu")
    expected = sparse(x)
    compiled = torch.compile(sparse, backend="aot_eager", fullgraph=True)
    y = x.clone().requires_grad_()
    found = compiled(y)
    assert_close(found, expected)
    found.sum().backward()
    z = x.clone().requires_grad_()
    sparse(z).sum().backward()
    assert_close(y.grad, z.grad)
    sparse.packed_values = sparse.packed_values.clone()
    assert_close(compiled(x), expected)
    other, _, _ = _pair(kind, "cpu")
    with torch.no_grad():
        other.weight.mul_(2)
    other.load_state_dict(sparse.state_dict())
    for replica in (copy.deepcopy(sparse), pickle.loads(pickle.dumps(sparse)), other):
        assert torch.equal(replica(x), expected)


def test_every_layer_with_a_matrix_is_told() -> None:
    model = nn.ModuleDict(
        {
            "point": nn.Conv2d(8, 8, 1),
            "wide": nn.Conv2d(8, 8, 3),
            "padded": nn.Conv2d(8, 8, 1, padding=1),
            "grouped": nn.Conv1d(8, 8, 1, groups=2),
            "volume": nn.Conv3d(8, 8, 1),
            "words": nn.Embedding(8, 8),
            "attention": nn.MultiheadAttention(8, 2),
            "memory": nn.GRU(8, 8),
            "norm": nn.LayerNorm(8),
            "last": nn.Linear(8, 8),
        }
    )
    report = to_sparse_linear_(model, "2:4")
    assert list(report.converted) == ["point", "last"]
    told = report.skipped
    assert "kernel 3 x 3, groups 1" in told.pop("wide")
    assert "padding (1, 1), expected" in told.pop("padded")
    assert "groups 2" in told.pop("grouped")
    for name in ("volume", "words"):
        assert "expected a Linear, a Conv1D or a pointwise convolution" in told.pop(name)
    assert "whose own code" in told.pop("attention.out_proj")
    for name in ("attention.in_proj_weight", "memory.weight_ih_l0", "memory.weight_hh_l0"):
        assert "not called weight" in told.pop(name)
    assert not told


def test_measuring_while_converting() -> None:
    model = nn.Sequential(Conv1D(96, 64), nn.Linear(96, 64))
    table = SpeedTable()
    report = to_sparse_linear_(model, "2:4", tokens=4, speeds=table)
    assert {(speed.out_features, speed.in_features) for speed in table} == {(96, 64), (64, 96)}
    assert all("measured" in layer.reason for layer in report.converted.values())


def test_wrong_inputs_are_refused() -> None:
    sparse, _, _ = _pair("pointwise 2d", "cpu")
    with pytest.raises(ValueError, match=r"shape \(64, 5\), expected \(channels, 2 axes"):
        sparse(torch.randn(64, 5))
    with pytest.raises(ValueError, match=r"expected \(\.\.\., 64\)"):
        sparse(torch.randn(1, 32, 5, 5))
    with pytest.raises(ValueError, match=r"mask has shape \(96, 64\), expected the weight's"):
        sparse.set_mask(torch.ones(96, 64, dtype=torch.bool))
