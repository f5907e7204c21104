"""A text as pieces of one length, for causal language models: packed, without padding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face.loading import Loaded, read_text, tokenizer_of
from tnm_core.cli.hugging_face.spread import evenly_spread
from tnm_core.cli.references import foreign_errors

# Tokens of a batch: what a block makes of them, and the logits, are there at once. Where a batch is
# a step of training, which keeps them for all blocks, there are fewer.
_BATCH_TOKENS, _STEP_TOKENS = 1024, 256


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


def packed_pieces(loaded: Loaded, path: Path, length: int) -> torch.Tensor:
    """Cut a text into pieces of so many tokens, shape (pieces, length).

    Each begins with the token that the tokenizer puts in front of texts. What is left at the end
    is dropped.
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
    if found.start is None:
        return pieces
    return torch.cat([pieces.new_full((count, 1), found.start), pieces], 1)


Batches = list[dict[str, torch.Tensor]]


@dataclass(frozen=True)
class PackedBatches:
    """Batches of pieces to calibrate with, others to distill with if wanted, and what to say."""

    batches: Batches
    others: Batches | None = None
    notes: tuple[str, ...] = ()


def packed_batches(
    loaded: Loaded,
    path: Path,
    length: int,
    most_tokens: int | None,
    size: int | None,
    distill_tokens: int | None = None,
) -> PackedBatches:
    """Return pieces of a text as batches, by default of about a thousand tokens.

    If the text has more than `most_tokens`, pieces are spread evenly over it. Those to distill with
    are spread over the others, in random order and in smaller batches, each of them a step.
    """
    pieces = packed_pieces(loaded, path, length)
    chosen = _spread(len(pieces), most_tokens, length)
    batches = _as_batches(pieces[chosen], size or max(1, _BATCH_TOKENS // length))
    if distill_tokens is None:
        return PackedBatches(batches)
    left = torch.ones(len(pieces), dtype=torch.bool)
    left[chosen] = False
    others = pieces[left]
    if not len(others):
        raise CommandError(
            f"--tokens leaves nothing of {path} to distill with; expected a longer text or a "
            "smaller --tokens, or no --distill-tokens, to distill with those that calibrate"
        )
    others = others[_spread(len(others), distill_tokens, length)]
    order = torch.randperm(len(others), generator=torch.Generator().manual_seed(0))
    notes: tuple[str, ...] = ()
    if others.numel() + length <= distill_tokens:
        notes = (
            f"{path} has {others.numel():,} other tokens to distill with, fewer than "
            f"--distill-tokens {distill_tokens}",
        )
    steps = _as_batches(others[order], size or max(1, _STEP_TOKENS // length))
    return PackedBatches(batches, steps, notes)


def _spread(count: int, most_tokens: int | None, length: int) -> torch.Tensor:
    """Choose pieces, spread evenly, of at most so many tokens, but at least one."""
    most = count if most_tokens is None else max(1, most_tokens // length)
    return torch.tensor(evenly_spread(count, most))


def _as_batches(pieces: torch.Tensor, size: int) -> Batches:
    return [{"input_ids": part} for part in torch.split(pieces, size)]
