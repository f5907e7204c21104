"""Sentences as batches for a model: tokenized, those of like length together, and padded."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face.loading import (
    PIXELS,
    Loaded,
    arguments_of,
    read_text,
    tokenizer_of,
)
from tnm_core.cli.references import foreign_errors


def sentence_batches(
    loaded: Loaded, path: Path, size: int, most_tokens: int
) -> list[dict[str, torch.Tensor]]:
    """Tokenize the lines of a text, those of like length together."""
    lines = [line for line in map(str.strip, read_text(path).splitlines()) if line]
    if not lines:
        raise CommandError(f"{path} holds no sentence; expected one per line")
    taken = _arguments_for_sentences(loaded.model)
    tokenizer = tokenizer_of(loaded)
    if tokenizer.pad_token is None and size > 1:
        raise CommandError(
            f"the tokenizer in {loaded.folder} has no token to pad with; expected --batch-size 1"
        )
    limits = (most_tokens, tokenizer.model_max_length,
              getattr(loaded.config, "max_position_embeddings", most_tokens))  # fmt: skip
    start = _decoder_start(loaded, taken)
    with foreign_errors(f"cannot tokenize {path}"):
        tokens = tokenizer(lines, truncation=True, max_length=min(limits))
        order = sorted(range(len(lines)), key=lambda index: len(tokens["input_ids"][index]))
        batches = [
            tokenizer.pad(
                {key: [of[i] for i in order[at : at + size]] for key, of in tokens.items()},
                return_tensors="pt",
                padding=size > 1,
            )
            for at in range(0, len(lines), size)
        ]
        return [_taken(dict(batch), taken, start) for batch in batches]


def _arguments_for_sentences(model: nn.Module) -> frozenset[str]:
    """Return what a model takes; raises `CommandError` if those are no sentences."""
    taken = arguments_of(model)
    main = getattr(model, "main_input_name", "input_ids")
    if main != "input_ids" or main not in taken:
        function = "a function that returns batches, path/to/file.py:function"
        expected = f"a folder of images (tnm calibrate also takes {function})"
        raise CommandError(
            f"a {type(model).__name__} takes {main!r} and no sentences; expected DATA to be "
            + (expected if main == PIXELS else function)
        )
    return taken


def _decoder_start(loaded: Loaded, taken: frozenset[str]) -> int | None:
    """Return the token that a decoder begins with, if the model has one beside an encoder."""
    if not getattr(loaded.model.config, "is_encoder_decoder", False):
        return None
    if "decoder_input_ids" not in taken:
        return None
    names = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
    found = (getattr(loaded.model.config, name, None) for name in names)
    start = next((one for one in found if isinstance(one, int)), None)
    if start is None:
        raise CommandError(
            f"the configuration in {loaded.folder} names no token that the decoder begins with; "
            "expected decoder_start_token_id"
        )
    return start


def _taken(
    batch: dict[str, torch.Tensor], taken: frozenset[str], start: int | None
) -> dict[str, torch.Tensor]:
    """Leave out what a model does not take; a decoder gets the sentence, one token later."""
    given = {name: value for name, value in batch.items() if name in taken}
    if start is not None:
        tokens = batch["input_ids"]
        given["decoder_input_ids"] = tokens.roll(1, dims=1).index_fill(1, torch.tensor([0]), start)
    return given
