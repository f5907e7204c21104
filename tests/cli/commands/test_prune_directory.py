"""tnm prune DIR -o DIR: what is written is what from_pretrained loads."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.cli.conftest import Tnm, keeps_exactly, snapshot
from tests.cli.local_models import save_with_tokenizer

INDEX = "model.safetensors.index.json"
SIZES = {
    "vocab_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 12,
}
BESIDE = {
    "1_Pooling/config.json": b"{}",
    "2_Dense/model.safetensors": b"weights of a further module",
    "README.md": b"what it is",
    "modeling_own.py": b"code = 1",
}
LEFT = {
    ".gitattributes": "hidden",
    ".cache/download": "hidden",
    "pytorch_model.bin": "weights in another form",
    "tf_model.h5": "weights in another form",
    "flax_model.msgpack": "weights in another form",
    "onnx/model.onnx": "weights in another form",
    "original/consolidated.00.pth": "weights in another form",
    "checkpoint-500/optimizer.pt": "left by training",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama, whole and in shards, with a tokenizer and what else lies in such folders."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    model: Any = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))
    save_with_tokenizer(model, folder / "whole")
    shutil.copytree(folder / "whole", folder / "sharded")
    (folder / "sharded" / "model.safetensors").unlink()
    model.save_pretrained(folder / "sharded", max_shard_size="12KB")
    for kind in ("whole", "sharded"):
        for name, data in [*BESIDE.items(), *((name, b"old") for name in LEFT)]:
            (folder / kind / name).parent.mkdir(exist_ok=True)
            (folder / kind / name).write_bytes(data)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    shutil.copytree(saved / request.param, tmp_path / "dense")
    return tmp_path / "dense"


both = pytest.mark.parametrize("folder", ["whole", "sharded"], indirect=True)


def _check_loads(dense: Path, sparse: Path) -> None:
    auto = transformers.AutoModelForCausalLM
    before = auto.from_pretrained(dense, local_files_only=True).state_dict()
    model, told = auto.from_pretrained(sparse, local_files_only=True, output_loading_info=True)
    assert [told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")] == [
        type(told[key])() for key in ("missing_keys", "unexpected_keys", "mismatched_keys")
    ]
    pruned = 0
    for name, value in model.state_dict().items():
        if ".layers." in name and value.ndim == 2:
            assert keeps_exactly(value.numpy() != 0, 2, 4), name
            assert ((value == 0) | (value == before[name])).all()
            pruned += 1
        else:
            assert torch.equal(value, before[name])
    assert pruned == 14
    words = transformers.AutoTokenizer.from_pretrained(sparse, local_files_only=True)("w1 w2")
    assert len(words["input_ids"]) == 2


@both
def test_what_is_written_loads(tnm: Tnm, folder: Path, tmp_path: Path) -> None:
    before, out = snapshot(folder), tmp_path / "sparse"
    result = tnm("prune", folder, "-o", out, "-p", "2:4")
    assert result.status == 0, result.err
    _check_loads(folder, out)
    assert snapshot(folder) == before
    after = snapshot(out)
    assert set(after) == set(before) - {
        name for left in LEFT for name in (left, left.split("/")[0])
    }
    same = {name for name in after if after[name] == before[name]}
    assert all(name.endswith(".safetensors") or name == INDEX for name in set(after) - same)
    for name in LEFT:
        line = next(line for line in result.out.splitlines() if name.split("/")[0] in line)
        assert line.startswith("not copied: ")
    assert tnm("check", out).status == 0
    assert "14 of 14 tensors obey" in tnm("check", out).out


@both
def test_what_was_not_copied_is_in_the_report(tnm: Tnm, folder: Path, tmp_path: Path) -> None:
    result = tnm("prune", folder, "-o", tmp_path / "out.v1", "-p", "2:4", "--json")
    told = {one["name"]: one["reason"] for one in json.loads(result.out)["not_copied"]}
    assert set(told) == {name.split("/")[0] for name in LEFT}
    for name, reason in LEFT.items():
        assert reason in told[name.split("/")[0]]


@both
def test_links_are_followed_within_the_folder_alone(tnm: Tnm, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (folder / "out.txt").symlink_to(secret / "key")
    (folder / "1_Pooling" / "out.txt").symlink_to("../../secret/key")
    (folder / "outer").symlink_to(secret)
    (folder / "loop").symlink_to(".")
    (folder / "inner.md").symlink_to("README.md")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")  # opening it would wait for ever
    out = tmp_path / "sparse"
    result = tnm("prune", folder, "-o", out, "-p", "2:4")
    assert result.status == 0, result.err
    assert b"secret" not in snapshot(out).values()
    assert (out / "inner.md").read_bytes() == BESIDE["README.md"]
    lines = " ".join(result.out.split())
    for name in ("out.txt", "1_Pooling/out.txt", "outer", "loop", "dangling", "pipe"):
        assert name in lines
        assert not (out / name).exists()


@both
def test_the_cache_of_hugging_face(tnm: Tnm, folder: Path, tmp_path: Path) -> None:
    """There every file is a link, to a folder of blobs beside the snapshots."""
    for left in LEFT:
        path = folder / left.split("/")[0]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    cache = tmp_path / "models--own--tiny"
    snapshot_of = cache / "snapshots" / "0123"
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.is_file():
            blob, link = cache / "blobs" / str(number), snapshot_of / path.relative_to(folder)
            for parent in (blob.parent, link.parent):
                parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, blob)
            link.symlink_to(os.path.relpath(blob, link.parent))
    out = tmp_path / "sparse"
    result = tnm("prune", snapshot_of, "-o", out, "-p", "2:4")
    assert "not copied" not in result.out
    assert not any(path.is_symlink() for path in out.rglob("*"))
    _check_loads(folder, out)


@both
def test_in_place_and_over_another(tnm: Tnm, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sparse"
    assert tnm("prune", folder, "-o", out, "-p", "1:4").status == 0
    before = snapshot(tmp_path)
    tnm("prune", folder, "-o", out, "-p", "2:4").assert_refused("exists already", "--force")
    tnm("prune", folder, "-o", folder, "-p", "2:4", "--force").assert_refused("out of date")
    inside = ("-o", folder / "1_Pooling" / "out", "-p", "2:4")
    tnm("prune", folder, *inside).assert_refused("lies in")
    assert snapshot(tmp_path) == before
    assert tnm("prune", folder, "-o", out, "-p", "2:4", "--force").status == 0
    _check_loads(folder, out)
    assert tnm("prune", out, "-o", out, "-p", "2:4", "--force").status == 0
    _check_loads(folder, out)
    assert list(out.rglob(".*")) == []
    other = "model.safetensors" if (out / INDEX).exists() else INDEX
    (out / other).write_bytes(b"{}")
    tnm("prune", folder, "-o", out, "-p", "2:4", "--force").assert_refused(other, "out of date")


@both
def test_a_copy_that_is_refused_leaves_nothing(
    tnm: Tnm, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Any, target: Any, length: int = 0) -> None:
        raise OSError(5, "Input/output error")

    before = snapshot(tmp_path)
    monkeypatch.setattr(shutil, "copyfileobj", refuse)
    result = tnm("prune", folder, "-o", tmp_path / "sparse", "-p", "2:4")
    result.assert_refused("input/output error", "1_Pooling")
    assert snapshot(tmp_path) == before


@both
def test_a_file_of_a_folder_stays_one(tnm: Tnm, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    result = tnm("prune", folder, "-o", out, "-p", "2:4")
    if (folder / INDEX).exists():
        result.assert_refused("the input is sharded")
    else:
        assert result.status == 0
        assert load_file(out).keys() == load_file(folder / "model.safetensors").keys()
    masks = tmp_path / "masks.safetensors"
    assert tnm("prune", folder, "-o", masks, "-p", "2:4", "--masks-only").status == 0


@pytest.mark.parametrize("leads_to", ["circle", "nothing"])
def test_a_link_that_leads_nowhere_as_target(tnm: Tnm, tmp_path: Path, leads_to: str) -> None:
    source, link = tmp_path / "in", tmp_path / "circle"
    source.mkdir()
    save_file({"w": torch.ones(8, 8)}, source / "model.safetensors")
    (source / "config.json").write_text("{}")
    link.symlink_to(leads_to)
    tnm("prune", source, "-o", link, "-p", "2:4", "--force").assert_refused("leads nowhere")
    assert link.is_symlink()
