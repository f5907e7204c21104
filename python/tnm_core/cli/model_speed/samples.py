"""What models are timed on: sentences of a text, or images of a folder, in batches of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tnm_core.cli.console import note
from tnm_core.cli.hugging_face import PIXELS, Loaded, image_batches, sentence_batches
from tnm_core.cli.model_speed.rounds import Batch

# Images that are timed and compared, so many that some batches of them are full.
_MOST_IMAGES = 128


@dataclass(frozen=True)
class Samples:
    """Samples of one kind: what they are called, batches of a size, and what tokens those have."""

    unit: str
    batches: Callable[[int], list[Batch]]
    tokens: Callable[[list[Batch]], int | None]


def sentences_of(loaded: Loaded, path: Path, most_tokens: int) -> Samples:
    """Take the lines of a text."""
    return Samples(
        "sentences",
        lambda size: sentence_batches(loaded, path, size, most_tokens),
        lambda batches: sum(map(_real_tokens, batches)),
    )


def images_of(loaded: Loaded, folder: Path) -> Samples:
    """Take images that are spread over those of a folder; models get channels last in memory.

    So convolutions of both models are faster, dense ones and packed ones.
    """
    told: list[str] = []

    def batches(size: int) -> list[Batch]:
        taken = image_batches(loaded, folder, size, max(_MOST_IMAGES, size))
        for one in taken.notes:
            if one not in told:
                note(one)
                told.append(one)
        return [_channels_last(batch) for batch in taken.batches]

    loaded.model.to(memory_format=torch.channels_last)
    return Samples("images", batches, lambda _: None)


def count_of(batch: Batch) -> int:
    """Count the samples of a batch."""
    return len(next(iter(batch.values())))


def _real_tokens(batch: Batch) -> int:
    """Count the tokens that are not padding."""
    return int(batch.get("attention_mask", torch.ones_like(batch["input_ids"])).sum())


def _channels_last(batch: Batch) -> Batch:
    pixels = batch[PIXELS]
    if pixels.ndim != 4:
        return batch
    return {**batch, PIXELS: pixels.contiguous(memory_format=torch.channels_last)}
