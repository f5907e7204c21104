"""The example of a sentence encoder from a local directory, and a small study of recipes on it."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from examples import bert_encoder  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tnm_core.torch import prune_model  # noqa: E402
from tnm_core.torch.calibrate import find_free_dimensions, permute_  # noqa: E402

CONFIG = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 60,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


def _encoder() -> Any:
    torch.manual_seed(0)
    model = bert_encoder.BertEncoder(CONFIG).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "dense.weight" in name or "self" in name:
                parameter.copy_(torch.randn(parameter.shape) * 0.25)
    return model


def _batches(seed: int, count: int = 6) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for length in range(6, 6 + count):
        # Words are not used alike, so that inputs are correlated.
        rank = torch.rand(24, length, generator=generator) ** 3
        ids = (rank * CONFIG["vocab_size"]).long()
        mask = (torch.arange(length) < length - (torch.arange(24) % 3)[:, None]).long()
        found.append({"input_ids": ids, "attention_mask": mask})
    return found


@torch.no_grad()
def _cosine(model: Any) -> float:
    dense, held_out = _encoder(), _batches(seed=1)
    return sum(float((model(**b) * dense(**b)).sum(1).mean()) for b in held_out) / len(held_out)


def test_small_study() -> None:
    cosine = {}
    for pattern, recipe in (
        ("2:4", "magnitude"),
        ("2:4", "least_squares"),
        ("2:4", "best"),
        ("2:4", "tuned"),
        ("16:32", "best"),
    ):
        model = _encoder()
        report = prune_model(model, _batches(seed=0), pattern, recipe)
        assert len(report.pruned) == 12
        cosine[pattern, recipe] = _cosine(model)
    assert cosine["2:4", "magnitude"] < cosine["2:4", "least_squares"] < cosine["2:4", "best"]
    assert cosine["2:4", "best"] < cosine["2:4", "tuned"]
    assert cosine["2:4", "best"] < cosine["16:32", "best"]


def test_permuting_the_encoder_keeps_what_it_computes() -> None:
    model, batches = _encoder(), _batches(seed=0)
    free = find_free_dimensions(model, batches, head_size=16)
    assert len(free) == 6  # values, queries with keys, and hidden units, in two layers
    done = permute_(model, free)
    assert done.after > done.before
    assert _cosine(model) == pytest.approx(1.0, abs=1e-6)


def test_example(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = [f"w{index}" for index in range(CONFIG["vocab_size"] - 1)]
    vocabulary = {word: index for index, word in enumerate(["[UNK]", *words])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    source, target = tmp_path / "dense", tmp_path / "sparse"
    source.mkdir()
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "config.json").write_text(json.dumps(CONFIG))
    pooler = {"pooler.dense.weight": torch.randn(32, 32)}
    save_file(_encoder().state_dict() | pooler, source / "model.safetensors")
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
        bert_encoder.embed(model, source, held_out) for model in (_encoder(), reloaded)
    )
    assert float((dense * sparse).sum(1).mean()) == pytest.approx(cosine, abs=2e-3)
    saved = load_file(target / "model.safetensors")
    assert torch.equal(saved["pooler.dense.weight"], pooler["pooler.dense.weight"])
