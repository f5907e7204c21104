"""tnm eval perplexity: what it says of a tiny Llama, and what it refuses."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.cli.conftest import Tnm, snapshot
from tests.cli.language_models import llama, save, tokens_of, write_text
from tests.cli.local_models import save_with_tokenizer
from tnm_core.extras import how_to_install
from tnm_core.torch import remove_sparsity_, sparsify_
from tnm_core.torch.evaluate import perplexity


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    return save(llama(), tmp_path / "dense")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_text(tmp_path / "text.txt", 90)


def _report(tnm: Tnm, *words: object) -> dict[str, Any]:
    result = tnm("eval", "perplexity", *words, "--threads", 1, "--json")
    assert result.status == 0, result.err
    report: dict[str, Any] = json.loads(result.out)
    return report


def test_dense_and_pruned_side_by_side(tnm: Tnm, dense: Path, text: Path, tmp_path: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(dense)
    expected = [perplexity(model, tokens_of(text)[:80], length=16, stride=5)]
    sparsify_(model, "1:4")
    expected.insert(0, perplexity(model, tokens_of(text)[:80], length=16, stride=5))
    remove_sparsity_(model)
    sparse = save(model, tmp_path / "sparse")
    before, threads = snapshot(tmp_path), torch.get_num_threads()
    options = ("--dense", dense, "--length", 16, "--stride", 5, "--tokens", 80)
    report = _report(tnm, sparse, text, *options)
    assert snapshot(tmp_path) == before
    assert torch.get_num_threads() == threads
    assert report["command"] == "eval perplexity"
    assert (report["text_tokens"], report["used_tokens"]) == (90, 80)
    assert [one["model"] for one in report["models"]] == [str(sparse), str(dense)]
    for one, wanted in zip(report["models"], expected, strict=True):
        assert one["perplexity"] == pytest.approx(wanted.perplexity, rel=1e-6)
        assert (one["tokens"], one["windows"]) == (79, wanted.windows)
    assert report["ratio"] == pytest.approx(expected[0].perplexity / expected[1].perplexity)
    table = tnm("eval", "perplexity", sparse, text, *options).out
    assert "windows of 16, every 5" in table
    assert f"{expected[0].perplexity:,.3f}" in table
    assert "times that of the dense one" in table
    assert "the first 80 of 90 tokens" in table


def test_a_model_of_zeros_is_uniform(tnm: Tnm, text: Path, tmp_path: Path) -> None:
    model = llama()
    torch.nn.init.zeros_(model.lm_head.weight)
    report = _report(tnm, save(model, tmp_path / "zeros"), text, "--length", 60)
    (one,) = report["models"]
    assert one["perplexity"] == pytest.approx(62, rel=1e-5)
    assert one["loss"] == pytest.approx(math.log(62), rel=1e-6)
    assert report["stride"] == 30
    assert report["ratio"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere", "TEXT"), ("nowhere is no directory", "Hugging Face")),
        (("MODEL", "nowhere.txt", "--length", "8"), ("nowhere.txt", "No such file")),
        (("MODEL", "TEXT", "--length", "16", "--stride", "16"), ("--stride is 16", "less than")),
        (("MODEL", "TEXT", "--length", "65"), ("--length is 65", "at most 64")),
        (("BERT", "TEXT", "--length", "8"), ("BertModel", "causal language model")),
        (("MODEL", "TEXT", "--length", "8", "--dense", "OTHER"), ("other tokens",)),
    ],
)
def test_refused(
    tnm: Tnm, dense: Path, text: Path, tmp_path: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    sizes = {"vocab_size": 62, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    meant = {"MODEL": dense, "TEXT": text}
    if "BERT" in words:
        meant["BERT"] = tmp_path / "bert"
        config = transformers.BertConfig(**sizes, intermediate_size=16)
        save_with_tokenizer(transformers.BertModel(config), meant["BERT"])
    if "OTHER" in words:
        meant["OTHER"] = save(llama(), tmp_path / "other")
        path = meant["OTHER"] / "tokenizer.json"
        path.write_text(path.read_text().replace('"w1"', '"v1"'))
    tnm("eval", "perplexity", *(meant.get(word, word) for word in words)).assert_refused(*told)


def test_a_missing_package_is_named(
    tnm: Tnm, dense: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    result = tnm("eval", "perplexity", dense, text)
    result.assert_refused("needs the package transformers", how_to_install("transformers"))
