"""Weights that share memory are found, whatever objects they are; neighbours are not mistaken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tnm_core.torch import (
    apply_masks_,
    pack_for_inference_,
    prune_model_,
    remove_sparsity_,
    sparsify_,
    to_sparse_linear_,
)
from tnm_core.torch.layers import SharedMemory


class _Pair(nn.Module):
    """Two layers, of which the second has a view of the first one's weight."""

    def __init__(self, view: Any, size: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(size, size, bias=False)
        self.second = nn.Linear(size, size, bias=False)
        self.second.weight = nn.Parameter(view(self.first.weight.data))


def _strided(start: int) -> Any:
    return lambda weight: torch.as_strided(weight, (4, 4), (16, 2), start)


SHARING = {
    "the same": lambda weight: weight,
    "transposed": lambda weight: weight.T,
    "some rows": lambda weight: weight[4:],
    "some columns": lambda weight: weight[:, 3:7],
    "every second": _strided(0),
    "another dtype": lambda weight: weight.view(torch.int32).view(torch.float32)[2:6],
    "another storage": lambda weight: torch.from_numpy(weight.numpy()),
}


@pytest.mark.parametrize("view", SHARING.values(), ids=SHARING)
def test_views_of_one_weight_are_left_alone(view: Any) -> None:
    def prune(model: nn.Module, pattern: str) -> Any:
        return prune_model_(model, [torch.randn(32, 8)], pattern)

    for convert in (sparsify_, to_sparse_linear_, pack_for_inference_, prune):
        with pytest.raises(ValueError, match="shared"):
            convert(_Pair(view), "2:4")


def _fused_parts(fused: torch.Tensor) -> nn.ModuleList:
    layers = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(3))
    for layer, part in zip(layers, fused.chunk(3), strict=True):
        layer.weight = nn.Parameter(part)
    return layers


def test_parts_of_a_fused_matrix_are_masked() -> None:
    parts = _fused_parts(torch.randn(24, 8))
    assert len(sparsify_(parts, "2:4").sparse) == 3
    columns = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(2))
    fused = torch.randn(8, 16)
    for layer, part in zip(columns, (fused[:, ::2], fused[:, 1::2]), strict=True):
        layer.weight = nn.Parameter(part)
    assert len(sparsify_(columns, "2:4").sparse) == 2


def test_the_fused_matrix_itself_shares_with_its_parts() -> None:
    fused = torch.randn(24, 8)
    parts = _fused_parts(fused)
    parts.register_buffer("whole", fused)
    memory = SharedMemory(parts)
    assert memory.users_of(parts[1].weight) == ("whole", "1.weight")
    with pytest.raises(ValueError, match=r"shared \(whole and 0.weight\)"):
        sparsify_(parts, "2:4")


def test_ties_without_data_and_of_an_embedding() -> None:
    for device in ("cpu", "meta"):
        model = nn.Module()
        model.words = nn.Embedding(16, 8, device=device)
        model.head = nn.Linear(8, 16, bias=False, device=device)
        model.head.weight = nn.Parameter(model.words.weight.data)
        model.other = nn.Linear(8, 8, device=device)
        memory = SharedMemory(model)
        assert memory.users_of(model.head.weight) == ("words.weight", "head.weight")
        assert memory.users_of(model.other.weight) == ("other.weight",)


def test_expanded_weights_are_left_alone() -> None:
    layer = nn.Linear(8, 8)
    layer.weight = nn.Parameter(torch.randn(1, 8).expand(8, 8))
    model = nn.Sequential(nn.Linear(8, 8), layer)
    (skipped,) = sparsify_(model, "2:4").skipped
    assert "clone" in str(skipped.reason)


def test_masks_are_not_applied_to_what_was_tied_later() -> None:
    model: Any = _Pair(torch.clone)
    sparsify_(model, "2:4", include="first")
    original = model.first.parametrizations.weight.original
    model.second.weight = nn.Parameter(original.data)
    before = original.detach().clone()
    for change in (apply_masks_, remove_sparsity_):
        with pytest.raises(ValueError, match=r"'first' is shared \(first.weight and second.weig"):
            change(model)
    assert torch.equal(original, before)


@pytest.mark.parametrize("seed", range(20))
def test_overlap_is_exact(seed: int) -> None:
    """Compared with the entries that views of numbered memory hold."""
    random = np.random.default_rng(seed)
    memory = torch.arange(60.0)
    model = nn.Module()
    for name in ("a", "b"):
        shape = [int(size) for size in random.integers(1, 4, 3)]
        strides = [int(stride) for stride in random.integers(1, 9, 3)]
        view = torch.as_strided(memory, shape, strides, int(random.integers(0, 12)))
        model.register_parameter(name, nn.Parameter(view))
    common = set(model.a.flatten().tolist()) & set(model.b.flatten().tolist())
    assert SharedMemory(model).users_of(model.a) == (("a", "b") if common else ("a",))
