"""Masks on parameters that are not called weight, and on weights stored in other orders."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import tnm_core as tnm
from tnm_core.torch import (
    SparsifyReport,
    dense_state_dict,
    load_masks_,
    masks,
    remove_sparsity_,
    sparsify_,
)

SIZES = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
SIZES |= {"hidden_size": 16, "intermediate_size": 8, "head_dim": 8, "vocab_size": 16}
SIZES |= {"num_local_experts": 3, "num_experts": 3, "moe_intermediate_size": 8}


def _reasons(report: SparsifyReport) -> dict[str, str | None]:
    return {layer.name: layer.reason for layer in report.skipped}


def _experts(name: str) -> nn.Module:
    """The experts of one layer of a model of transformers, with weights."""
    import transformers

    config = getattr(transformers, f"{name}Config")(**SIZES)
    experts = {
        "Mixtral": "mixtral.modeling_mixtral.MixtralExperts",
        "Qwen3Moe": "qwen3_moe.modeling_qwen3_moe.Qwen3MoeExperts",
        "GptOss": "gpt_oss.modeling_gpt_oss.GptOssExperts",
        "Llama4Text": "llama4.modeling_llama4.Llama4TextExperts",
    }[name]
    path, _, made = experts.rpartition(".")
    module = __import__(f"transformers.models.{path}", fromlist=[made])
    model = nn.ModuleDict({"experts": getattr(module, made)(config)})
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize(
    ("name", "input_axis"),
    [("Mixtral", 2), ("Qwen3Moe", 2), ("GptOss", 1), ("Llama4Text", 1)],
)
def test_each_expert_is_a_matrix_in_its_own_order(name: str, input_axis: int) -> None:
    for pattern in ("2:4", "row 2:4"):
        model: Any = _experts(name)
        dense = {own: one.detach().clone() for own, one in model.experts.named_parameters()}
        report = sparsify_(model, pattern)
        assert [one.name for one in report.sparse] == ["experts.gate_up_proj", "experts.down_proj"]
        for own in ("gate_up_proj", "down_proj"):
            mask = masks(model)[f"experts.{own}"].numpy()
            values = dense[own].numpy()
            for expert in range(3):
                expected = (
                    tnm.transposable_mask(values[expert], 2, 4)
                    if pattern == "2:4"
                    else tnm.nm_mask(values[expert], 2, 4, axis=input_axis - 1)
                )
                assert (mask[expert] == expected).all()
            assert torch.equal(getattr(model.experts, own), dense[own] * torch.from_numpy(mask))


def test_experts_of_unknown_order_have_no_row_wise_masks() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(3, 8, 16))

    assert [one.name for one in sparsify_(Experts(), "2:4").sparse] == ["w"]
    with pytest.raises(ValueError, match="which axis of its weight the inputs are is not known"):
        sparsify_(Experts(), "row 2:4")


def test_several_masks_on_one_module_live_as_long_as_it_does() -> None:
    model: Any = _experts("Mixtral")
    names = [name for name, _ in model.named_parameters()]
    sparsify_(model, "2:4")
    outputs = (model.experts.gate_up_proj, model.experts.down_proj)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert list(masks(other)) == ["experts.gate_up_proj", "experts.down_proj"]
        assert torch.equal(other.experts.gate_up_proj, outputs[0])
        remove_sparsity_(other)
        assert "Parametrized" not in type(other.experts).__name__
        assert torch.equal(other.experts.down_proj, outputs[1])
        assert [name for name, _ in other.named_parameters()] == names
    turned = {name: mask.roll(4, 1) for name, mask in masks(model).items()}
    load_masks_(model, turned)
    assert torch.equal(masks(model)["experts.down_proj"], turned["experts.down_proj"])


def test_conv1d_of_transformers_is_read_from_inputs_to_outputs() -> None:
    from transformers.pytorch_utils import Conv1D

    model = nn.Sequential(Conv1D(24, 16))
    weight = model[0].weight.detach().numpy().copy()
    assert [one.name for one in sparsify_(model, "row 2:4").sparse] == ["0"]
    assert (masks(model)["0"].numpy() == tnm.nm_mask(weight, 2, 4, axis=0)).all()


def test_the_matrices_of_attention() -> None:
    """Queries, keys and values have tiles of their own, though they lie in one parameter."""
    model = nn.MultiheadAttention(6, 1, batch_first=True)
    weight = model.in_proj_weight.detach().numpy().copy()
    report = sparsify_(model, "2:4", include="in_proj_weight")
    assert _reasons(report) == {"out_proj": "not matched by include="}
    mask = masks(model)["in_proj_weight"].numpy()
    for part in range(3):
        rows = slice(6 * part, 6 * part + 6)
        assert (mask[rows] == tnm.transposable_mask(weight[rows], 2, 4)).all()
    inputs = torch.randn(2, 3, 6)
    model(inputs, inputs, inputs)[0].sum().backward()
    gradient = model.parametrizations.in_proj_weight.original.grad
    assert not gradient[~masks(model)["in_proj_weight"]].any()


def test_recurrent_layers_use_their_masks() -> None:
    model, plain, inputs = nn.GRU(8, 8), nn.GRU(8, 8), torch.randn(3, 2, 8)
    sparsify_(model, "2:4", include="weight_*")
    plain.load_state_dict(dense_state_dict(model))
    torch.testing.assert_close(model(inputs)[0], plain(inputs)[0])
    model(inputs)[0].sum().backward()
    gradient = model.parametrizations.weight_hh_l0.original.grad
    assert not gradient[~masks(model)["weight_hh_l0"]].any()


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(8, 8))
        self.layer = nn.Linear(8, 8)
        self.words = nn.Embedding(8, 8)
        self.cell = nn.GRU(8, 8)


@pytest.mark.parametrize(
    ("include", "sparse"),
    [
        (None, ["layer"]),
        ("*", ["layer"]),
        ("l*", ["layer"]),
        ("layer.weight", ["layer"]),
        ("ta*", ["table"]),
        ("words.weight", ["words"]),
        ("*.weight", ["layer", "words"]),
        (["layer", "*.weight_hh_l0"], ["layer", "cell.weight_hh_l0"]),
    ],
)
def test_any_parameter_can_be_named(include: Any, sparse: list[str]) -> None:
    report = sparsify_(_Net(), "2:4", include=include)
    assert [one.name for one in report.sparse] == sparse
    names = {"table", "layer", "words", "cell.weight_ih_l0", "cell.weight_hh_l0"}
    assert {one.name for one in report.layers} == names


def test_what_is_excluded_stays_dense_under_either_name() -> None:
    for exclude in ("layer", "layer.weight"):
        report = sparsify_(_Net(), "2:4", include="*weight*", exclude=exclude)
        assert _reasons(report)["layer"] == "matched by exclude="
        assert "words" in [one.name for one in report.sparse]
