"""What sparse models save is loaded by plain ones, and what plain ones save by sparse ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tnm_core as tnm
from tests.torch.networks import perceptron
from tnm_core.torch import (
    dense_state_dict,
    load_masks_,
    masks,
    pack_for_inference_,
    remove_sparsity_,
    sparsify_,
    to_sparse_linear_,
)


def _pack(model: nn.Module) -> Any:
    return pack_for_inference_(model, "2:4", backend="cpu")


WAYS: dict[str, Callable[[nn.Module], Any]] = {
    "sparsify_": sparsify_,
    "to_sparse_linear_": to_sparse_linear_,
    "pack_for_inference_": _pack,
}


@pytest.mark.parametrize("make_sparse", WAYS.values(), ids=WAYS)
def test_a_plain_model_loads_what_the_sparse_one_computes_with(
    make_sparse: Callable[[nn.Module], Any],
) -> None:
    model, plain, inputs = perceptron(0), perceptron(1), torch.randn(5, 16)
    make_sparse(model)
    state, before = dense_state_dict(model), list(model.state_dict())
    assert set(state) == set(plain.state_dict())
    plain.load_state_dict(state)
    torch.testing.assert_close(plain(inputs), model(inputs))
    assert tnm.is_transposable(plain[0].weight.detach().numpy() != 0, 2, 4)
    assert list(model.state_dict()) == before


@pytest.mark.parametrize("make_sparse", [sparsify_, to_sparse_linear_])
def test_a_sparse_model_loads_plain_weights(make_sparse: Callable[[nn.Module], Any]) -> None:
    """Masks that fit the zeros stay; else they are those of the zeros. Dense ones tell nothing."""
    model, other, dense = perceptron(0), perceptron(1), perceptron(2)
    make_sparse(model)
    load_masks_(model, {name: mask.roll(4, 1) for name, mask in masks(model).items()})
    make_sparse(other)
    other.load_state_dict(dense_state_dict(model))
    for name, mask in masks(model).items():
        assert torch.equal(masks(other)[name], mask)
    before = masks(other)
    other.load_state_dict({name: one * 0 for name, one in dense.state_dict().items()})
    assert torch.equal(masks(other)["0"], before["0"])
    with pytest.raises(RuntimeError, match="mask"):
        other.load_state_dict(dense.state_dict())
    other.load_state_dict(dense.state_dict(), strict=False)
    assert torch.equal(other[0].weight * before["0"], dense[0].weight * before["0"])
    assert torch.equal(masks(other)["0"], before["0"])


@pytest.mark.parametrize("make_sparse", [sparsify_, to_sparse_linear_])
def test_plain_weights_without_a_mask_are_refused(make_sparse: Callable[[nn.Module], Any]) -> None:
    model, dense = perceptron(0), perceptron(1)
    make_sparse(model)
    state = dense.state_dict()
    state["0.weight"] = state["0.weight"].clone().fill_(float("nan"))
    with pytest.raises(RuntimeError, match="no mask for"):
        model.load_state_dict(state)


def _bert() -> Any:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    return BertModel(config).eval()


@pytest.mark.parametrize("make_sparse", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("part", ["", "encoder"])
def test_save_pretrained_just_works(
    tmp_path: Path, make_sparse: Callable[[nn.Module], Any], part: str
) -> None:
    model, tokens = _bert(), torch.arange(8)[None]
    make_sparse(model.get_submodule(part))
    expected = model(tokens).last_hidden_state
    model.save_pretrained(tmp_path)
    loaded, told = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    torch.testing.assert_close(loaded.eval()(tokens).last_hidden_state, expected)
    weight = loaded.encoder.layer[0].output.dense.weight.detach()
    assert tnm.is_transposable(weight.numpy() != 0, 2, 4)
    assert torch.equal(model(tokens).last_hidden_state, expected)


def test_save_pretrained_of_experts(tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralModel

    config = MixtralConfig(
        vocab_size=16, hidden_size=16, intermediate_size=8, num_hidden_layers=1, head_dim=8,
        num_attention_heads=2, num_key_value_heads=2, num_local_experts=3,
    )  # fmt: skip
    model, tokens = MixtralModel(config).eval(), torch.arange(8)[None]
    sparsify_(model, "2:4")
    model.save_pretrained(tmp_path)
    loaded, told = MixtralModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    torch.testing.assert_close(
        loaded.eval()(tokens).last_hidden_state, model(tokens).last_hidden_state
    )


def _mixed() -> nn.Sequential:
    from transformers.pytorch_utils import Conv1D

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(8, 16, 1, stride=2), nn.Flatten(2), nn.Conv1d(16, 8, 1), nn.Flatten(),
        nn.Linear(32, 16), Conv1D(8, 16),
    )  # fmt: skip


@pytest.mark.parametrize("make_sparse", WAYS.values(), ids=WAYS)
def test_the_way_back_to_ordinary_layers(make_sparse: Callable[[nn.Module], Any]) -> None:
    model, images = _mixed(), torch.randn(2, 8, 4, 4)
    kinds, names = [type(layer) for layer in model], ["0", "2", "4", "5"]
    parameters = list(model.parameters())
    make_sparse(model)
    output = model(images)
    assert remove_sparsity_(model) == names
    assert [type(layer) for layer in model] == kinds
    torch.testing.assert_close(model(images), output)
    for name in names:
        weight = model.get_submodule(name).weight.detach()
        assert (weight == 0).sum() == weight.numel() // 2
    if make_sparse is not _pack:
        same = zip(model.parameters(), parameters, strict=True)
        assert all(one is other for one, other in same)
    assert remove_sparsity_(model) == []
    model.load_state_dict(_mixed().state_dict())


def test_a_layer_under_two_names_comes_back_as_one() -> None:
    layer = nn.Linear(16, 16)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    to_sparse_linear_(model, "2:4")
    assert remove_sparsity_(model) == ["0", "2"]
    assert model[0] is model[2]


def test_what_cannot_come_back_is_named() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16))
    to_sparse_linear_(model, "2:4", include="1")
    sparsify_(model, "2:4")
    with pytest.raises(ValueError, match="to_dense"):
        remove_sparsity_(model[1])
    for register in (
        model[1].register_forward_hook,
        model[1].register_forward_pre_hook,
        model[1].register_full_backward_hook,
        model[1].register_full_backward_pre_hook,
    ):
        handle = register(lambda *_: None)
        with pytest.raises(ValueError, match="'1' has hooks"):
            remove_sparsity_(model)
        assert list(masks(model)) == ["0", "1"]
        handle.remove()
    nn.utils.parametrize.register_parametrization(model[1], "bias", nn.Identity())
    with pytest.raises(ValueError, match="'1' has parametrisations"):
        remove_sparsity_(model)
    nn.utils.parametrize.remove_parametrizations(model[1], "bias")
    assert remove_sparsity_(model) == ["0", "1"]
