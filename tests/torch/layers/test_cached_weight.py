"""In evaluation a weight is masked once, and anew whenever it or its mask may have changed."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.torch.networks import dense_weight, perceptron
from tnm_core.torch import DynamicMask, load_masks_, masks, sparsify_
from tnm_core.torch.layers import masked_parametrization


@pytest.fixture
def layer() -> nn.Linear:
    model = nn.Sequential(nn.Linear(16, 24))
    sparsify_(model, "2:4")
    return model.eval()[0]


def _expected(layer: nn.Module) -> torch.Tensor:
    weight, mask = dense_weight(layer).detach(), masked_parametrization(layer).mask
    return weight.masked_fill(~mask, 0.0)


def _seen(layer: nn.Module) -> torch.Tensor:
    """Check what the layer sees without gradients, and return it."""
    with torch.no_grad():
        weight = layer.weight
    assert torch.equal(weight, _expected(layer))
    return weight


def _is_cached(layer: nn.Module) -> bool:
    return _seen(layer) is _seen(layer)


def test_the_weight_is_masked_once(layer: nn.Linear) -> None:
    assert _is_cached(layer)
    with torch.inference_mode():
        assert layer.weight is _seen(layer)
    assert not _seen(layer).is_inference()
    x = torch.randn(3, 16, requires_grad=True)
    layer.requires_grad_(False)
    assert layer.weight is _seen(layer), "no gradient by the weight is wanted"
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, _expected(layer).sum(0).expand(3, -1))


def test_training_masks_in_every_pass(layer: nn.Linear) -> None:
    cached = _seen(layer)
    assert layer.weight is not cached
    layer(torch.ones(1, 16)).sum().backward()
    assert torch.equal(dense_weight(layer).grad != 0, masked_parametrization(layer).mask)
    layer.train()
    assert not _is_cached(layer)
    layer.eval()
    assert _seen(layer) is not cached


def _step(layer: nn.Module, **options: Any) -> None:
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, **options)
    layer(torch.randn(4, 16)).sum().backward()
    optimizer.step()


@torch.no_grad()
def _write(layer: nn.Module) -> None:
    dense_weight(layer).mul_(2)


def _write_data(layer: nn.Module) -> None:
    dense_weight(layer).data.mul_(2)
    layer.eval()


def _load(layer: nn.Module) -> None:
    other = nn.Sequential(nn.Linear(16, 24))
    sparsify_(other, "2:4")
    layer.load_state_dict(other[0].state_dict())


def _assign(layer: nn.Module) -> None:
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    state["parametrizations.weight.original"] *= 2
    layer.load_state_dict(state, assign=True)


CHANGES: list[Callable[[nn.Module], object]] = [
    _step,
    lambda layer: _step(layer, fused=True),
    _write,
    _write_data,
    _load,
    _assign,
    lambda layer: load_masks_(layer, {"": ~masks(layer)[""]}),
    lambda layer: setattr(layer, "weight", torch.randn(24, 16)),
    lambda layer: layer.double(),
    lambda layer: layer.half(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(layer: nn.Module, change: Callable[[nn.Module], object]) -> None:
    before = _seen(layer).clone()
    change(layer)
    after = _seen(layer)
    assert after.dtype != before.dtype or not torch.equal(after, before)
    assert _is_cached(layer)


def test_refreshes_between_evaluations() -> None:
    model = perceptron()
    sparsify_(model, "2:4")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    dynamic = DynamicMask(every=2, fade_until=4).attach(model, optimizer)
    x = torch.randn(4, 16)
    for _ in range(8):
        model.train()
        model(x).square().sum().backward()
        optimizer.step()
        with torch.no_grad():
            expected = model(x)
            assert torch.equal(model.eval()(x), expected)
    assert len({record.step for record in dynamic.statistics}) > 2


def test_other_tensors_in_place_of_the_weight(layer: nn.Module) -> None:
    _seen(layer)
    other, x = torch.randn(24, 16), torch.randn(2, 16)
    mask = masked_parametrization(layer).mask
    name = "parametrizations.weight.original"
    with torch.no_grad():
        found = torch.func.functional_call(layer, {name: other}, (x,))
        assert torch.equal(found, x @ (other * mask).t() + layer.bias)
        several = torch.stack((other, 2 * other))
        found = torch.vmap(lambda one: torch.func.functional_call(layer, {name: one}, (x,)))(
            several
        )
    torch.testing.assert_close(found[1], x @ (2 * other * mask).t() + layer.bias)


def test_copies_and_pickles_mask_their_own_weight(layer: nn.Module) -> None:
    cached = _seen(layer)
    for replica in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert _is_cached(replica)
        assert _seen(replica) is not cached
    bytes_of = io.BytesIO()
    torch.save(layer, bytes_of)
    size = len(bytes_of.getvalue())
    layer.train()
    bytes_of = io.BytesIO()
    torch.save(layer, bytes_of)
    assert size <= len(bytes_of.getvalue()) + 64, "the masked weight is not saved"


def test_graphs_mask_the_weight_that_they_are_given(layer: nn.Module) -> None:
    x = torch.randn(2, 16)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        _seen(layer)
        for _ in range(2):
            torch.testing.assert_close(compiled(x), x @ _expected(layer).t() + layer.bias)
            _write(layer)


def test_tensors_of_inference_mode_are_masked_in_every_pass(layer: nn.Module) -> None:
    with torch.inference_mode():
        layer.double()
        assert not _is_cached(layer)
        dense_weight(layer).mul_(2)
        assert torch.equal(layer.weight, _expected(layer))
