"""tnm convert DIR -o DIR: shards, what lies beside the weights, and the configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Tnm, snapshot
from tests.support.formats import read_bitmask_weight, read_masks_of
from tnm_core.checkpoint import load_packed, open_checkpoint
from tnm_core.products import PackedMatrix

CONFIG = {"model_type": "llama", "hidden_size": 16, "note": "ünicode"}
INDEX = "model.safetensors.index.json"


def _model(folder: Path, kind: str) -> Path:
    """A model directory of two layers, in one file or two."""
    rng = np.random.default_rng(3)
    names = [f"layers.{layer}.{part}.weight" for layer in range(2) for part in ("up", "down")]
    tensors = {name: rng.standard_normal((16, 24)).astype(np.float32) for name in names}
    tensors["norm.weight"] = np.ones(24, np.float32)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG, ensure_ascii=False))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tf_model.h5").write_text("old")
    if kind == "whole":
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    homes = {name: f"model-0000{1 + (at > 1)}-of-00002.safetensors"
             for at, name in enumerate(tensors)}  # fmt: skip
    for shard in set(homes.values()):
        held = {name: tensors[name] for name in tensors if homes[name] == shard}
        save_file(held, folder / shard, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1, "of": "others"}, "weight_map": homes}
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    return {
        name: array
        for path in sorted(folder.glob("*.safetensors"))
        for name, array in load_file(path).items()
    }


def _config(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text())


@pytest.fixture(params=["whole", "sharded"])
def pruned(request: pytest.FixtureRequest, tnm: Tnm, tmp_path: Path) -> Path:
    model = _model(tmp_path / "model", request.param)
    assert tnm("prune", model, "-o", tmp_path / "pruned", "-p", "2:4").status == 0
    return tmp_path / "pruned"


@pytest.mark.parametrize("form", ["packed", "bitmask"])
def test_there_and_back(tnm: Tnm, tmp_path: Path, pruned: Path, form: str) -> None:
    (pruned / "tf_model.h5").write_text("old")
    out, back = tmp_path / "out", tmp_path / "back"
    result = tnm("convert", pruned, "--to", form, "-o", out)
    assert result.status == 0, result.err
    assert "not copied: tf_model.h5" in result.out
    assert (out / "tokenizer.json").exists()
    assert "4 of 4 tensors obey transposable 2:4" in tnm("check", out).out
    assert tnm("convert", out, "--to", "dense", "-o", back).status == 0
    before, after = _tensors(pruned), _tensors(back)
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    assert {path.name for path in back.iterdir()} == {
        path.name for path in pruned.iterdir() if path.name != "tf_model.h5"
    }
    assert _config(back) == CONFIG
    assert tnm("check", back).status == 0
    for shard in out.glob("*.safetensors"):
        assert tnm("check", shard).status == 0


def test_packed_weights_have_a_name_of_their_own(tnm: Tnm, tmp_path: Path, pruned: Path) -> None:
    out = tmp_path / "out"
    told = tnm("convert", pruned, "--to", "packed", "-o", out).out
    assert "so that from_pretrained refuses the directory" in told
    sharded = (pruned / INDEX).exists()
    name = "packed.safetensors.index.json" if sharded else "packed.safetensors"
    assert (out / name).exists()
    assert not (out / INDEX).exists()
    assert not (out / "model.safetensors").exists()
    assert _config(out) == CONFIG
    loaded = load_packed(out / name)
    dense = _tensors(pruned)
    assert {*loaded} == {*dense}
    assert sum(isinstance(tensor, PackedMatrix) for tensor in loaded.values()) == 4
    for key, tensor in loaded.items():
        array = tensor.toarray() if isinstance(tensor, PackedMatrix) else tensor
        np.testing.assert_array_equal(array, dense[key])


def test_bitmask_is_told_to_readers(tnm: Tnm, tmp_path: Path, pruned: Path) -> None:
    out = tmp_path / "out"
    assert tnm("convert", pruned, "--to", "bitmask", "-o", out).status == 0
    dense, tensors = _tensors(pruned), _tensors(out)
    modules = [f"layers.{layer}.{part}" for layer in range(2) for part in ("up", "down")]
    for module in modules:
        found = read_bitmask_weight(tensors, module)
        np.testing.assert_array_equal(found, dense[f"{module}.weight"])
        assert tensors[f"{module}.shape"].shape == (2, 1)
        assert f"{module}.weight" not in tensors
    config = _config(out)
    told = config.pop("quantization_config")
    assert config == CONFIG
    assert told["quant_method"] == "compressed-tensors"
    sparse = told["sparsity_config"]
    assert sorted(sparse.pop("targets")) == sorted(modules)
    assert sparse == {
        "format": "sparse-24-bitmask",
        "sparsity_structure": "2:4",
        "global_sparsity": round(4 * 192 / (4 * 384 + 24), 4),
        "ignore": [],
        "registry_requires_subclass": False,
    }
    if (out / INDEX).exists():
        index = json.loads((out / INDEX).read_text())
        assert index["weight_map"].keys() == tensors.keys()
        assert index["metadata"]["total_size"] == sum(one.nbytes for one in tensors.values())
        assert index["metadata"]["of"] == "others"
        for name, shard in index["weight_map"].items():
            assert name in load_file(out / shard)


def test_masks_of_a_directory_are_one_file(tnm: Tnm, tmp_path: Path, pruned: Path) -> None:
    out = tmp_path / "masks.safetensors"
    assert tnm("convert", pruned, "--to", "masks", "-o", out).status == 0
    dense = _tensors(pruned)
    masks = read_masks_of(out)
    assert len(masks) == 4
    assert all((mask == (dense[name] != 0)).all() for name, mask in masks.items())


def test_in_place(tnm: Tnm, pruned: Path) -> None:
    arguments = ("convert", pruned, "--to", "bitmask", "-o", pruned)
    tnm(*arguments).assert_refused("exists already")
    dense = _tensors(pruned)
    assert tnm(*arguments, "--force").status == 0
    assert "quantization_config" in _config(pruned)
    assert tnm("convert", pruned, "--to", "dense", "-o", pruned, "--force").status == 0
    assert _config(pruned) == CONFIG
    after = _tensors(pruned)
    assert all(after[name].tobytes() == array.tobytes() for name, array in dense.items())
    before = snapshot(pruned)
    tnm("convert", pruned, "--to", "packed", "-o", pruned, "--force").assert_refused(
        "would be out of date"
    )
    assert snapshot(pruned) == before


def test_parts_of_a_weight_may_lie_in_several_shards(tnm: Tnm, tmp_path: Path) -> None:
    """As others may have written them."""
    weight = np.float32([[1, 0, 2, 0, 0, 3, 4, 0]])
    folder = tmp_path / "in"
    folder.mkdir()
    shards = {
        "a.safetensors": {"up.bitmask": np.uint8([[0b01100101]])},
        "b.safetensors": {
            "up.compressed": np.float32([[1, 2, 3, 4]]),
            "up.shape": np.array([1, 8]),
            "bias": np.zeros(3, np.float32),
        },
    }
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
    weight_map = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert "1 of 1 tensors obey row-wise 2:4" in tnm("check", folder).out
    assert tnm("convert", folder, "--to", "dense", "-o", tmp_path / "out").status == 0
    with open_checkpoint(tmp_path / "out") as checkpoint:
        assert {*checkpoint.tensors} == {"up.weight", "bias"}
        np.testing.assert_array_equal(checkpoint.read("up.weight"), weight)
        assert checkpoint.records[0].layers == ("up.weight",)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"quant_method": "gptq"}, ("quantised by 'gptq'",)),
        ([1], ("quantization_config is no object",)),
    ],
)
def test_other_quantisation_is_refused(
    tnm: Tnm, tmp_path: Path, told: object, words: tuple[str, ...]
) -> None:
    model = _model(tmp_path / "model", "whole")
    pruned, out = tmp_path / "pruned", tmp_path / "out"
    assert tnm("prune", model, "-o", pruned, "-p", "2:4").status == 0
    (pruned / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": told}))
    tnm("convert", pruned, "--to", "bitmask", "-o", out).assert_refused("config.json", *words)
    assert not out.exists()


def test_quantisation_of_compressed_tensors_is_kept(tnm: Tnm, tmp_path: Path) -> None:
    model = _model(tmp_path / "model", "whole")
    pruned, out, back = (tmp_path / name for name in ("pruned", "out", "back"))
    assert tnm("prune", model, "-o", pruned, "-p", "2:4").status == 0
    told = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {}}}
    (pruned / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": told}))
    assert tnm("convert", pruned, "--to", "bitmask", "-o", out).status == 0
    assert {*_config(out)["quantization_config"]} == {*told, "sparsity_config"}
    assert tnm("convert", out, "--to", "dense", "-o", back).status == 0
    assert _config(back)["quantization_config"] == told
