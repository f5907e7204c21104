"""Tiny models of transformers in local directories, with a tokenizer of made-up words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
import transformers

WORDS = [f"w{index}" for index in range(60)]


def save_with_tokenizer(model: Any, path: Path) -> None:
    """Save a model as `from_pretrained` reads it."""
    model.save_pretrained(path)
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(path)
