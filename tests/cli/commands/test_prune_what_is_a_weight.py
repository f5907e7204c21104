"""tnm prune: which tensors are weights, how they lie, and what is said of quantised ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tnm_core
from tests.cli.conftest import Tnm, keeps_exactly
from tests.weights.architectures import ARCHITECTURES, GPTQ, MAMBA, T5
from tnm_core.checkpoint import open_checkpoint

GPT2 = {
    "h.0.attn.c_attn.weight": (16, 48),
    "h.0.attn.c_attn.bias": (48,),
    "h.0.attn.c_proj.weight": (16, 16),
    "h.0.mlp.c_fc.weight": (16, 64),
}
EXPERTS = {
    "llama.mlp.experts.gate_up_proj": (3, 16, 40),
    "llama.mlp.experts.down_proj": (3, 20, 16),
    "qwen.mlp.experts.gate_up_proj": (3, 40, 16),
    "qwen.mlp.experts.down_proj": (3, 16, 20),
    "conv.weight": (16, 12, 3),
    "volume.weight": (16, 12, 3, 2, 2),
}


def _save(
    path: Path, shapes: dict[str, tuple[int, ...]], dtypes: dict[str, Any] | None = None
) -> Path:
    rng = np.random.default_rng(5)
    save_file(
        {
            name: (4 * rng.standard_normal(shape)).astype((dtypes or {}).get(name, np.float32))
            for name, shape in shapes.items()
        },
        path,
    )
    return path


def _save_architecture(path: Path, name: str) -> Path:
    tensors = ARCHITECTURES[name]
    shapes = {key: value[0] for key, value in tensors.items()}
    dtypes = {
        key: getattr(ml_dtypes, value[2], None) or np.dtype(value[2])
        for key, value in tensors.items()
        if len(value) > 2
    }
    return _save(path, shapes, dtypes)


@pytest.mark.parametrize("tensors", [MAMBA, T5], ids=["mamba", "t5"])
def test_what_is_no_weight_keeps_its_values(tnm: Tnm, tmp_path: Path, tensors: Any) -> None:
    name = "mamba" if tensors is MAMBA else "t5"
    path, out = _save_architecture(tmp_path / "in.safetensors", name), tmp_path / "out.safetensors"
    result = tnm("prune", path, "-o", out, "-p", "2:4", "--json")
    assert result.status == 0, result.err
    report = json.loads(result.out)
    small = {name for name, (shape, *_) in tensors.items() if shape[1:2] == (1,)}
    weights = {name for name, (_, what, *_) in tensors.items() if not what} - small
    assert {layer["name"] for layer in report["layers"]} == weights
    assert {one["name"] for one in report["skipped"]} == set(tensors) - weights
    before, after = load_file(path), load_file(out)
    for key in set(tensors) - weights:
        np.testing.assert_array_equal(after[key], before[key])


@pytest.mark.parametrize(
    ("case", "told"),
    [("gptq", "1 by GPTQ"), ("awq", "1 by AWQ"), ("bitsandbytes", "2 by bitsandbytes")],
)
def test_quantised_checkpoints_are_refused(tnm: Tnm, tmp_path: Path, case: str, told: str) -> None:
    path = _save_architecture(tmp_path / "in.safetensors", case)
    out = tmp_path / "out.safetensors"
    result = tnm("prune", path, "-o", out, "-p", "2:4")
    result.assert_refused("holds quantised weights", told, "before it was quantised")
    assert not out.exists()


@pytest.mark.parametrize("case", ["deepseek", "float8", "mxfp4"])
def test_the_rest_of_a_mixed_checkpoint_is_pruned(tnm: Tnm, tmp_path: Path, case: str) -> None:
    path = _save_architecture(tmp_path / "in.safetensors", case)
    result = tnm("prune", path, "--dry-run", "-p", "2:4", "--json")
    assert result.status == 0, result.err
    assert result.err.startswith("tnm: note: ")
    assert len(result.err.splitlines()) == 1
    assert "which are left as they are; to prune them, prune the checkpoint as it" in result.err
    (layer,) = json.loads(result.out)["layers"]
    assert ARCHITECTURES[case][layer["name"]][1] == ""


def test_a_glob_over_layers_does_not_reach_parts_of_quantised_weights(
    tnm: Tnm, tmp_path: Path
) -> None:
    path = _save_architecture(tmp_path / "in.safetensors", "gptq")
    options = ("--dry-run", "-p", "2:4", "--include", "model.layers.*")
    tnm("prune", path, *options).assert_refused("holds quantised weights (1 by GPTQ)")
    shapes = {name: shape for name, (shape, *_) in GPTQ.items() if name.endswith("scales")}
    path = _save(tmp_path / "scales.safetensors", {**shapes, "up.weight": (16, 16)})
    report = json.loads(tnm("prune", path, *options[:-1], "*scales", "--json").out)
    assert [layer["name"] for layer in report["layers"]] == list(shapes)  # that was asked for


def test_a_configuration_that_speaks_of_quantisation(tnm: Tnm, tmp_path: Path) -> None:
    _save(tmp_path / "model.safetensors", {"up.weight": (16, 16)})
    config = tmp_path / "config.json"
    for text in ('{"quantization_config": {"quant_method": "hqq"}}', "[]", "not JSON"):
        config.write_text(text)
        result = tnm("prune", tmp_path, "--dry-run", "-p", "2:4")
        assert result.status == 0
        assert ("speaks of quantisation (hqq)" in result.err) == ("hqq" in text)
        assert (result.err == "") == ("hqq" not in text)


def test_include_is_obeyed_but_for_dtype_rank_and_size(tnm: Tnm, tmp_path: Path) -> None:
    path = _save_architecture(tmp_path / "in.safetensors", "bert")
    options = ("--dry-run", "-p", "2:4", "--include", "*", "--json")
    report = json.loads(tnm("prune", path, *options).out)
    assert {"classifier.weight", "bert.embeddings.position_embeddings.weight"} < {
        layer["name"] for layer in report["layers"]
    }
    assert {one["code"] for one in report["skipped"]} == {"other_rank"}


@pytest.mark.parametrize("masks_only", [False, True])
def test_rows_of_conv1d_of_transformers_are_outputs(
    tnm: Tnm, tmp_path: Path, masks_only: bool
) -> None:
    path, out = _save(tmp_path / "in.safetensors", GPT2), tmp_path / "out.safetensors"
    options = ["--masks-only"] if masks_only else []
    result = tnm("prune", path, "-o", out, "-p", "row 2:4", *options)
    assert result.status == 0, result.err
    assert tnm("check", out).status == 0
    if not masks_only:
        before, after = load_file(path), load_file(out)
        for name, shape in GPT2.items():
            if len(shape) == 2:
                expected = tnm_core.nm_mask(before[name], 2, 4, axis=0)
                np.testing.assert_array_equal(after[name] != 0, expected)


def _metadata(path: Path) -> dict[str, Any]:
    with open_checkpoint(path) as checkpoint:
        return dict(checkpoint.metadata)


@pytest.mark.parametrize("pattern", ["2:4", "row 2:4"])
def test_masks_alone_say_how_weights_lie_of_which_a_bias_told_it(
    tnm: Tnm, tmp_path: Path, pattern: str
) -> None:
    """And what is converted from and to them; inputs come first in both layers."""
    shapes = {"fc.weight": (64, 128), "fc.bias": (128,)}
    shapes |= {"up.weight": (64, 32, 2, 2), "up.bias": (32,), "plain.weight": (32, 64)}
    path = _save(tmp_path / "in.safetensors", shapes)
    pruned, masks = tmp_path / "pruned.safetensors", tmp_path / "masks.safetensors"
    for out, options in ((pruned, []), (masks, ["--masks-only"])):
        result = tnm("prune", path, "-o", out, "-p", pattern, *options)
        assert result.status == 0, result.err
        assert tnm("check", out).status == 0
    told = json.loads(_metadata(masks)["tnm.axes"])
    assert told == {"fc.weight": "INPUTS_FIRST", "up.weight": "CONV_TRANSPOSE2D"}
    assert "tnm.axes" not in _metadata(pruned)
    for source, form in ((pruned, "masks"), (pruned, "mask-bits"), (masks, "mask-bits")):
        again = tmp_path / f"{source.stem}-{form}.safetensors"
        result = tnm("convert", source, "--to", form, "-o", again)
        assert result.status == 0, result.err
        assert tnm("check", again).status == 0
        assert json.loads(_metadata(again)["tnm.axes"]) == told
    # What somebody wrote into the metadata is no name of axes, or not of so many.
    for wrong in ("NOTHING", "CONV2D"):
        entry = {**_metadata(masks), "tnm.axes": json.dumps({"fc.weight": wrong})}
        save_file(load_file(masks), tmp_path / "wrong.safetensors", entry)
        assert tnm("check", tmp_path / "wrong.safetensors").status == (pattern != "2:4")
    entry["tnm.axes"] = "[1]"
    save_file(load_file(masks), tmp_path / "wrong.safetensors", entry)
    tnm("check", tmp_path / "wrong.safetensors").assert_refused("metadata", "damaged")


def test_fused_experts_and_convolutions_are_pruned_by_default(tnm: Tnm, tmp_path: Path) -> None:
    path, out = _save(tmp_path / "in.safetensors", EXPERTS), tmp_path / "out.safetensors"
    assert tnm("prune", path, "-o", out, "-p", "2:4").status == 0
    assert tnm("check", out).status == 0
    after = load_file(out)
    for name, array in after.items():
        matrices = np.moveaxis(array, (0, 1), (-2, -1)) if "experts" not in name else array
        for matrix in matrices.reshape(-1, *matrices.shape[-2:]):
            assert keeps_exactly(matrix != 0, 2, 4)
    rows = tmp_path / "rows.safetensors"
    assert tnm("prune", path, "-o", rows, "-p", "row 2:4").status == 0
    before, after = load_file(path), load_file(rows)
    for name in EXPERTS:
        axis = {"l": 1, "q": 2}.get(name[0], 1)
        expected = tnm_core.nm_mask(before[name], 2, 4, axis=axis)
        np.testing.assert_array_equal(after[name] != 0, expected)
    assert tnm("check", rows).status == 0


def test_three_d_overrides_what_names_tell(tnm: Tnm, tmp_path: Path) -> None:
    path = _save(tmp_path / "in.safetensors", EXPERTS)
    options = ("--dry-run", "-p", "2:4", "--json", "--three-d", "skip")
    report = json.loads(tnm("prune", path, *options).out)
    assert [layer["name"] for layer in report["layers"]] == ["volume.weight"]
    assert {one["code"] for one in report["skipped"]} == {"three_axes"}
