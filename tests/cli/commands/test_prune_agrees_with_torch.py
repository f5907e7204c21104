"""What tnm prune takes of a model's state dict is what the functions of torch select."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from torch import nn

from tests.cli.conftest import Tnm
from tnm_core.checkpoint import read_masks
from tnm_core.selection import Selection
from tnm_core.torch import load_masks_, sparsify_, to_sparse_linear_
from tnm_core.torch.calibrate.model.layer_plan import PlannedLayer, plan_layers


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(3, 32, 8))
        self.gate_up_proj_bias = nn.Parameter(torch.randn(8, 32))
        self.down_proj = nn.Parameter(torch.randn(3, 8, 16))


class Odd(nn.Module):
    """Layers of every kind, under names that say what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(8, 16, 4)})
        self.wte = nn.Embedding(32, 8)
        self.pos_table = nn.Parameter(torch.randn(16, 8))
        self.cls_token = nn.Parameter(torch.randn(8, 8))
        self.waves = nn.Conv1d(8, 16, 3)
        self.volume = nn.Conv3d(8, 8, 2)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.up = nn.ConvTranspose2d(16, 8, 2)
        self.attention = nn.MultiheadAttention(8, 2)
        self.memory = nn.GRU(8, 8)
        self.area = nn.LayerNorm((8, 8))
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "gate": nn.Linear(8, 8),
                    "experts": Experts(),
                    "output": nn.Linear(8, 8),
                    "norm": nn.ModuleDict({"linear": nn.Linear(8, 16)}),
                    "lora_A": nn.Linear(8, 8),
                }
            )
            for _ in range(2)
        )
        self.narrow = nn.Linear(8, 3)
        self.head = nn.Linear(8, 16)


class Mixture(nn.Sequential):
    """Names without a word in them: everything is a weight."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(8, 16), nn.Conv2d(8, 8, 3), nn.Linear(16, 8))


_SIZES: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 24,
}
_T5 = {"vocab_size": 32, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 4}
_GPT2 = {"vocab_size": 32, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
_MOE = {**_SIZES, "num_key_value_heads": 1, "num_experts_per_tok": 2}
_WHISPER = {
    "vocab_size": 32, "d_model": 16, "num_mel_bins": 8, "max_source_positions": 8,
    "max_target_positions": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 0,
}  # fmt: skip
MODELS = {
    "BertForSequenceClassification": {**_SIZES, "num_labels": 8},
    "GPT2ForSequenceClassification": {**_GPT2, "num_labels": 8},
    "T5ForConditionalGeneration": _T5,
    "LlamaForCausalLM": {**_SIZES, "num_key_value_heads": 1},
    "MixtralForCausalLM": {**_MOE, "num_local_experts": 4},
    "Qwen2MoeForCausalLM": {
        **_MOE, "num_experts": 4, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8,
    },
    "MambaForCausalLM": {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2},
    "ViTForImageClassification": {**_SIZES, "image_size": 8, "patch_size": 4, "num_labels": 8},
    "WhisperForConditionalGeneration": _WHISPER,
}  # fmt: skip


_NOT_CALIBRATED = (nn.Conv1d, nn.Conv3d, nn.ConvTranspose2d)


def _made(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name in ("Odd", "Mixture"):
        return {"Odd": Odd, "Mixture": Mixture}[name]()
    model = getattr(transformers, name)
    settings = MODELS[name]
    return model(model.config_class(**settings))


def _layer(tensor: str) -> str:
    return tensor.removesuffix(".weight")


@pytest.mark.parametrize("name", ["Odd", "Mixture", *MODELS])
def test_the_same_tensors_are_chosen(tnm: Tnm, tmp_path: Path, name: str) -> None:
    model = _made(name)
    path = tmp_path / "model.safetensors"
    save_file({key: one.clone().contiguous() for key, one in model.state_dict().items()}, path)
    result = tnm("prune", path, "--dry-run", "-p", "2:4", "--json")
    assert result.status == 0, result.err
    pruned = {_layer(layer["name"]) for layer in json.loads(result.out)["layers"]}
    report = sparsify_(copy.deepcopy(model), "2:4")
    assert {layer.name for layer in report.sparse} == pruned
    assert len(pruned) > 2
    matrices = {_layer(key) for key, one in model.state_dict().items() if one.ndim > 1}
    listed = {layer.name for layer in report.layers}
    assert matrices <= listed | {_layer(key) for key, _ in model.named_buffers()}
    modules = dict(model.named_modules())
    converted = to_sparse_linear_(copy.deepcopy(model), "2:4", backend="dense").converted
    plain = {one for one in pruned if type(modules.get(one)) is nn.Linear}
    assert plain <= set(converted) <= pruned
    others = {one for one in pruned if isinstance(modules.get(one), _NOT_CALIBRATED)}
    assert _planned(model) == pruned - others


def _planned(model: nn.Module) -> set[str]:
    """What `prune_model_` would prune; beside a layer, for it refuses a model without one."""
    decided = plan_layers(nn.ModuleList([model, nn.Linear(8, 8)]), "2:4", Selection())
    chosen = {one.name for one, decision in decided if isinstance(decision, PlannedLayer)}
    return {name.removeprefix("0.") for name in chosen - {"1"}}


def test_asked_for_by_name() -> None:
    model = _made("Odd")
    assert [one.name for one in sparsify_(copy.deepcopy(model), include="head").sparse] == ["head"]
    report = to_sparse_linear_(copy.deepcopy(model), include="head", backend="dense")
    assert list(report.converted) == ["head"]
    mask = torch.eye(4).repeat(4, 2).bool()
    report = to_sparse_linear_(model, "1:4", masks={"head": mask}, backend="dense")
    assert "head" in report.converted
    assert report.skipped["blocks.0.gate"] == "a router of experts (include it to prune it)"


@pytest.mark.parametrize(("groups", "fits"), [(1, True), (2, True), (4, False)])
def test_masks_of_grouped_convolutions(tnm: Tnm, tmp_path: Path, groups: int, fits: bool) -> None:
    """Files do not tell groups: tiles of 4 rows fit groups of 12 rows, and not those of 6."""
    model = nn.Sequential(nn.Conv2d(groups * 8, 24, 3, groups=groups))
    path, out = tmp_path / "model.safetensors", tmp_path / "masks.safetensors"
    save_file(model.state_dict(), path)
    assert tnm("prune", path, "-o", out, "-p", "2:4", "--masks-only").status == 0
    sparsify_(model, "2:4")
    if fits:
        load_masks_(model, read_masks(out))
        return
    with pytest.raises(ValueError, match="across its 4 groups of 6 rows, expected tiles that end"):
        load_masks_(model, read_masks(out))
    wrong = torch.ones(24, 8, 3, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="is not 2:4 transposable"):
        load_masks_(model, {"0": wrong})
