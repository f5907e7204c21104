"""Tiny causal language models in local directories, and texts of made-up words for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from tests.cli.local_models import WORDS, save_with_tokenizer

SIZES = {
    "vocab_size": 62,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
}


def llama(**options: Any) -> Any:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**SIZES, **options}))


def gpt2() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=62, n_positions=64, n_embd=32, n_layer=2, n_head=4, initializer_range=0.2,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def save(model: Any, path: Path) -> Path:
    save_with_tokenizer(model, path)
    return path


def write_text(path: Path, words: int, seed: int = 2) -> Path:
    """Write random words, ten a line."""
    picked = torch.randint(0, len(WORDS), (words,), generator=torch.Generator().manual_seed(seed))
    names = [WORDS[index] for index in picked.tolist()]
    path.write_text("\n".join(" ".join(names[at : at + 10]) for at in range(0, words, 10)))
    return path


def tokens_of(path: Path) -> torch.Tensor:
    """The tokens of such a text, as the tokenizer of `save_with_tokenizer` numbers words."""
    return torch.tensor([2 + WORDS.index(word) for word in path.read_text().split()])
