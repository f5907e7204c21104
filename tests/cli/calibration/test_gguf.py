"""tnm calibrate on a GGUF file: weights, configuration and tokenizer come from it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers

from tests.cli.conftest import Tnm, snapshot
from tnm_core.extras import how_to_install

WIDTH, HIDDEN, BLOCKS = 32, 64, 2
LETTERS = [*"abcdefghijklmnopqrstuvwxyz", "Ġ", "Ċ"]
MERGES = ["t h", "th e", "Ġ the", "a n", "Ġ an"]
TOKENS = ["<s>", "</s>", *LETTERS, "th", "the", "Ġthe", "an", "Ġan"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A Llama of two blocks, whose head is its embedding, with weights in 4 bits."""
    path = tmp_path / "models" / "tiny.gguf"
    path.parent.mkdir()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_block_count(BLOCKS)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, *[1] * (len(TOKENS) - 2)])
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    rng = np.random.default_rng(0)
    for name, shape in _shapes().items():
        values = rng.standard_normal(shape).astype(np.float32) * 0.3
        if len(shape) == 1:
            writer.add_tensor(name, np.ones(shape, np.float32))
            continue
        kind = gguf.GGMLQuantizationType.Q4_1
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(TOKENS), WIDTH),
        "output_norm.weight": (WIDTH,),
    }
    for index in range(BLOCKS):
        own = {
            "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,), "attn_q": (WIDTH, WIDTH),
            "attn_k": (WIDTH // 2, WIDTH), "attn_v": (WIDTH // 2, WIDTH),
            "attn_output": (WIDTH, WIDTH), "ffn_gate": (HIDDEN, WIDTH), "ffn_up": (HIDDEN, WIDTH),
            "ffn_down": (WIDTH, HIDDEN),
        }  # fmt: skip
        shapes |= {f"blk.{index}.{name}.weight": shape for name, shape in own.items()}
    return shapes


@pytest.fixture
def text(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    words = ["the", "an", *("".join(rng.choice([*"abcxyz"], 3)) for _ in range(20))]
    path = tmp_path / "text.txt"
    path.write_text(" ".join(rng.choice(words, 150)))
    return path


def test_a_file_becomes_a_directory(tnm: Tnm, model: Path, text: Path, tmp_path: Path) -> None:
    out, before = tmp_path / "sparse", snapshot(model.parent)
    words = ("-p", "2:4", "--recipe", "wanda", "--length", 16)
    result = tnm("calibrate", model, text, "-o", out, *words, "--json")
    assert result.status == 0, result.err
    assert "widened to float32" in result.said
    assert len(result.said.splitlines()) == 1
    assert snapshot(model.parent) == before
    assert len(json.loads(result.out)["layers"]) == 7 * BLOCKS
    dense = transformers.AutoModelForCausalLM.from_pretrained(model.parent, gguf_file=model.name)
    sparse = transformers.AutoModelForCausalLM.from_pretrained(out)
    assert sparse.lm_head.weight is sparse.model.embed_tokens.weight
    assert torch.equal(sparse.lm_head.weight, dense.lm_head.weight)
    for name, weight in sparse.state_dict().items():
        if name.endswith("proj.weight"):
            kept = (weight != 0).numpy()
            assert kept.any()
            assert weight.dtype == torch.float32
            assert torch.equal(weight, torch.where(weight != 0, dense.state_dict()[name], 0))
    files = set(snapshot(out))
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    config = json.loads((out / "config.json").read_text())
    assert config["use_cache"]
    assert "quantization_config" not in config
    own = transformers.AutoTokenizer.from_pretrained(out)
    theirs = transformers.AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    sentence = "the cab and the yzx"
    assert own(sentence)["input_ids"] == theirs(sentence)["input_ids"]
    assert tnm("check", out).status == 0
    # The directory of the file is the same model, and measures can be taken of both.
    words = ("--dense", model.parent, "--length", 16, "--json")
    report = json.loads(tnm("eval", "perplexity", out, text, *words).out)
    assert report["ratio"] is not None


def test_a_directory_with_several_files(tnm: Tnm, model: Path, text: Path, tmp_path: Path) -> None:
    (model.parent / "other.gguf").write_bytes(model.read_bytes())
    arguments = ("-o", tmp_path / "out", "-p", "2:4")
    tnm("calibrate", model.parent, text, *arguments).assert_refused("2 GGUF files", "other.gguf")


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_missing_package_is_named(
    tnm: Tnm, model: Path, text: Path, tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = tnm("calibrate", model, text, "-o", tmp_path / "out", "-p", "2:4")
    result.assert_refused(f"needs the package {package}", how_to_install("gguf"))
