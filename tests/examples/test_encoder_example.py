"""The examples of a sentence encoder from a local directory: pruning, fine-tuning."""

from __future__ import annotations

import itertools
import json
import re
import runpy
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from examples import bert_encoder
from examples.encoder_distillation import Distillation, Distiller, distillation_loss
from tests.support.small_encoder import CONFIG, sentences, small_encoder
from tnm_core.torch import masks, sparsify_
from tnm_core.torch.calibrate import find_free_dimensions, permute_


@torch.no_grad()
def _cosine(model: Any) -> float:
    dense, held_out = small_encoder(), sentences(seed=1)
    return sum(float((model(**b) * dense(**b)).sum(1).mean()) for b in held_out) / len(held_out)


def test_permuting_the_encoder_keeps_what_it_computes() -> None:
    model, batches = small_encoder(), sentences(seed=0)
    free = find_free_dimensions(model, batches, head_size=16)
    assert len(free) == 6  # values, queries with keys, and hidden units, in two layers
    done = permute_(model, free)
    assert done.after > done.before
    assert _cosine(model) == pytest.approx(1.0, abs=1e-6)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A dense encoder in a directory, and sentences beside it."""
    import tokenizers

    words = [f"w{index}" for index in range(CONFIG["vocab_size"] - 1)]
    vocabulary = {word: index for index, word in enumerate(["[UNK]", *words])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder = tmp_path / "dense"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    pooler = {"pooler.dense.weight": torch.randn(32, 32)}
    save_file(small_encoder().state_dict() | pooler, folder / "model.safetensors")
    ids = torch.randint(0, len(words), (120, 8)).tolist()
    lines = [" ".join(words[i] for i in row[: 3 + n % 6]) for n, row in enumerate(ids)]
    (tmp_path / "sentences.txt").write_text("\n".join(lines))
    return folder


def _run(name: str, source: Path, monkeypatch: Any, *options: str) -> Path:
    """Run an example; where it saved."""
    examples, target = Path(bert_encoder.__file__).parent, source.parent / "sparse"
    monkeypatch.syspath_prepend(examples)
    arguments = [str(source), str(source.parent / "sentences.txt"), str(target), *options]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(examples / name), run_name="__main__")
    return target


def _cosine_of_saved(target: Path, source: Path, lines: list[str]) -> float:
    dense, sparse = (
        bert_encoder.embed(model, source, lines)
        for model in (small_encoder(), bert_encoder.load(target))
    )
    return float((dense * sparse).sum(1).mean())


def _lines(source: Path) -> list[str]:
    return (source.parent / "sentences.txt").read_text().splitlines()


def test_pruning(source: Path, monkeypatch: Any, capsys: Any) -> None:
    target = _run("prune_sentence_encoder.py", source, monkeypatch)
    told = capsys.readouterr().out
    assert "recipe best: 12 of 15 layers" in told
    assert "zeros in the pruned layers 0.500" in told
    cosine = float(re.findall(r"dense embeddings (\S+)", told)[0])
    found = _cosine_of_saved(target, source, _lines(source)[-12:])
    assert found == pytest.approx(cosine, abs=2e-3)
    dense, saved = (load_file(folder / "model.safetensors") for folder in (source, target))
    assert torch.equal(saved["pooler.dense.weight"], dense["pooler.dense.weight"])


def test_fine_tuning(source: Path, monkeypatch: Any, capsys: Any) -> None:
    options = (
        "--pattern",
        "2:4",
        "--calibration",
        "24",
        "--steps",
        "120",
        "--tokens",
        "256",
        "--learning-rate",
        "8e-4",
    )
    target = _run("finetune_sentence_encoder.py", source, monkeypatch, *options)
    told = capsys.readouterr().out
    assert "2:4 on 12 layers, static: masks fixed until step 120" in told
    assert "zeros in the pruned layers 0.500" in told
    assert told.count(": loss ") == 20
    calibrated, tuned = map(float, re.findall(r"dense embeddings (\S+)", told))
    assert 1 - tuned < 0.9 * (1 - calibrated)
    assert _cosine_of_saved(target, source, _lines(source)[::10]) == pytest.approx(tuned, abs=1e-4)
    saved = load_file(target / "model.safetensors")["encoder.layer.0.output.dense.weight"]
    kept = (saved != 0).unflatten(0, (-1, 4)).unflatten(2, (-1, 4))
    assert (kept.sum(1) == 2).all()
    assert (kept.sum(3) == 2).all()


def test_distillation_changes_what_it_should() -> None:
    dense, model = small_encoder(), small_encoder()
    sparsify_(model, "2:4")
    masks_before, kept = masks(model), deepcopy(model.state_dict())
    distiller = Distiller(model, dense, "2:4", Distillation(steps=10))
    for batch in itertools.islice(itertools.cycle(sentences(seed=0)), 10):
        distiller.step(batch)
    assert distiller.steps == 10
    assert not model.training
    after = model.state_dict()
    changed = {name for name in kept if not torch.equal(after[name], kept[name])}
    assert changed
    assert not [name for name in changed if name.startswith("embeddings") or "mask" in name]
    assert all(torch.equal(masks(model)[name], mask) for name, mask in masks_before.items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert distillation_loss(dense, small_encoder(), sentences(1)[0], 3.0).item() < 1e-6


def test_batches_of_tokens() -> None:
    encoded = [[at] * (1 + at % 9) for at in range(1, 101)]
    batches = bert_encoder.token_batches(encoded, tokens=30, seed=1, window=40)
    seen: list[int] = []
    while len(seen) < len(encoded):
        batch = next(batches)
        ids, mask = batch["input_ids"], batch["attention_mask"]
        assert ids.numel() <= 30
        assert torch.equal(mask.bool(), ids != 0)
        seen += ids[:, 0].tolist()
        assert [1 + at % 9 for at in ids[:, 0].tolist()] == mask.sum(1).tolist()
    assert sorted(seen) == list(range(1, 101))  # one pass holds each sentence once
    assert seen != sorted(seen)


def test_learning_rate() -> None:
    how = Distillation(steps=100, warm_up=0.1)
    shares = [how.rate(step) for step in range(101)]
    assert shares[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[100] == pytest.approx(0)
