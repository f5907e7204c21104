"""The example of a sentence encoder from a local directory."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from examples import bert_encoder
from tests.support.small_encoder import CONFIG, sentences, small_encoder
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


def test_example(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    import tokenizers

    words = [f"w{index}" for index in range(CONFIG["vocab_size"] - 1)]
    vocabulary = {word: index for index, word in enumerate(["[UNK]", *words])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    source, target = tmp_path / "dense", tmp_path / "sparse"
    source.mkdir()
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "config.json").write_text(json.dumps(CONFIG))
    pooler = {"pooler.dense.weight": torch.randn(32, 32)}
    save_file(small_encoder().state_dict() | pooler, source / "model.safetensors")
    ids = torch.randint(0, len(words), (120, 8)).tolist()
    lines = [" ".join(words[i] for i in row[: 3 + n % 6]) for n, row in enumerate(ids)]
    (tmp_path / "sentences.txt").write_text("\n".join(lines))

    examples = Path(bert_encoder.__file__).parent
    monkeypatch.syspath_prepend(examples)
    arguments = [str(source), str(tmp_path / "sentences.txt"), str(target)]
    monkeypatch.setattr(sys, "argv", ["prune_sentence_encoder.py", *arguments])
    runpy.run_path(str(examples / "prune_sentence_encoder.py"), run_name="__main__")
    told = capsys.readouterr().out
    assert "recipe best: 12 of 15 layers" in told
    assert "zeros in the pruned layers 0.500" in told
    cosine = float(re.findall(r"dense embeddings (\S+)", told)[0])
    reloaded = bert_encoder.load(target)
    held_out = lines[-12:]
    dense, sparse = (
        bert_encoder.embed(model, source, held_out) for model in (small_encoder(), reloaded)
    )
    assert float((dense * sparse).sum(1).mean()) == pytest.approx(cosine, abs=2e-3)
    saved = load_file(target / "model.safetensors")
    assert torch.equal(saved["pooler.dense.weight"], pooler["pooler.dense.weight"])
