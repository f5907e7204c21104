"""A text as pieces of one length, for causal language models: packed, without padding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face.loading import Loaded, read_text, tokenizer_of
from tnm_core.cli.references import foreign_errors

# Tokens of a batch: what a block makes of them, and the logits, are there at once.
_BATCH_TOKENS = 1024


@dataclass(frozen=True)
class TextTokens:
    """The tokens of a text, and the token that the tokenizer puts in front of texts, if any."""

    tokens: torch.Tensor
    start: int | None


def text_tokens(loaded: Loaded, path: Path) -> TextTokens:
    """Tokenize a whole text, line breaks included."""
    text = read_text(path)
    tokenizer = tokenizer_of(loaded)
    with foreign_errors(f"cannot tokenize {path}"):
        first = tokenizer("a")["input_ids"][:1]
        start = first[0] if first == [tokenizer.bos_token_id] else None
        tokens = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])
    if not len(tokens):
        raise CommandError(f"{path} holds no token; expected a text")
    return TextTokens(tokens.long(), start)


def check_length(loaded: Loaded, length: int) -> None:
    """See that a model takes pieces of a length."""
    most = loaded.most_positions
    if most is not None and length > most:
        raise CommandError(
            f"--length is {length}; expected at most {most}, as the configuration in "
            f"{loaded.folder} says"
        )


def packed_pieces(
    loaded: Loaded, path: Path, length: int, most_tokens: int | None = None
) -> torch.Tensor:
    """Cut a text into pieces of so many tokens, shape (pieces, length).

    Each begins with the token that the tokenizer puts in front of texts. What is left at the end
    is dropped. If the text has more than `most_tokens`, pieces are spread evenly over it.
    """
    check_length(loaded, length)
    found = text_tokens(loaded, path)
    own = length if found.start is None else length - 1
    count = len(found.tokens) // max(own, 1)
    if own < 1 or count < 1:
        raise CommandError(
            f"{path} holds {len(found.tokens)} tokens, fewer than a piece of --length {length}; "
            "expected a longer text or a smaller --length"
        )
    pieces = found.tokens[: count * own].view(count, own)
    wanted = count if most_tokens is None else max(1, min(count, most_tokens // length))
    pieces = pieces[torch.arange(wanted) * count // wanted]
    if found.start is None:
        return pieces
    return torch.cat([pieces.new_full((wanted, 1), found.start), pieces], 1)


def packed_batches(
    loaded: Loaded, path: Path, length: int, most_tokens: int | None, size: int | None
) -> list[dict[str, torch.Tensor]]:
    """Return the pieces of a text as batches, by default of about a thousand tokens."""
    pieces = packed_pieces(loaded, path, length, most_tokens)
    size = size or max(1, _BATCH_TOKENS // length)
    return [{"input_ids": part} for part in torch.split(pieces, size)]
