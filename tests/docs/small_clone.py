"""A folder that looks like a clone with a tiny model, where commands of the documents run."""

from __future__ import annotations

import contextlib
import io
import subprocess
from pathlib import Path

import torch
import transformers

from tests.cli.local_models import WORDS, save_with_tokenizer
from tests.docs.documents import words_of
from tnm_core.cli.run import run

SIZES = {
    "vocab_size": 64,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 24,
    "initializer_range": 0.2,
}


def write_clone(folder: Path, model: Path) -> None:
    """Write a tiny sentence encoder, with a tokenizer of made-up words, and as many sentences."""
    torch.manual_seed(0)
    save_with_tokenizer(transformers.BertModel(transformers.BertConfig(**SIZES)), model)
    (folder / "examples").mkdir()
    lines = [" ".join(WORDS[(7 * n + k * k) % 60] for k in range(3 + n % 7)) for n in range(189)]
    (folder / "examples" / "sentences.txt").write_text("\n".join(lines) + "\n")


def run_line(line: str) -> str:
    """Run a command of a document and return what it prints; measuring is cut short."""
    words = words_of(line)
    if words[0] != "tnm":
        assert words[0] in {"echo", "head", "tail"}, f"the test knows no {line}"
        subprocess.run(line, shell=True, check=True)
        return ""
    return run_tnm(words[1:])


def run_tnm(words: list[str]) -> str:
    """Run `tnm` in this process."""
    if words[:2] == ["bench", "model"]:
        words = [*words, "--seconds", "0.001"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run(words) == 0, words
    return out.getvalue()
