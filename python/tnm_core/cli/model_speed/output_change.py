"""How far the outputs of one model are from those of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face import PIXELS
from tnm_core.cli.model_speed.rounds import Batch


@dataclass(frozen=True)
class OutputChange:
    """Differences of the first output: of each entry, and of each sentence or image.

    Attributes
    ----------
    largest : float
        The largest difference of an entry, padding left out.
    scale : float
        The largest magnitude of an entry in what it is compared with.
    mean_cosine, least_cosine : float
        Over sentences, of their means over tokens; over images, over patches or positions.
    """

    largest: float
    scale: float
    mean_cosine: float
    least_cosine: float


def output_change(model: Any, other: Any, batches: Sequence[Batch]) -> OutputChange:
    """Run both models and compare the first output, by which transformers return hidden states."""
    largest = scale = 0.0
    cosines = []
    for batch in batches:
        found, expected = _first_output(model, batch), _first_output(other, batch)
        if found.shape != expected.shape:
            raise CommandError(
                f"the models return {tuple(found.shape)} and {tuple(expected.shape)} for one "
                "batch; expected outputs of one shape, so the same kind of model"
            )
        real = _real_tokens(found, batch)
        if PIXELS in batch and found.ndim == 4:  # channels, and positions behind them
            found, expected = (one.flatten(2).movedim(1, 2) for one in (found, expected))
        difference = (found - expected).abs() * real
        largest = max(largest, float(difference.max()))
        scale = max(scale, float((expected.abs() * real).max()))
        means = _mean_over_tokens(found, real), _mean_over_tokens(expected, real)
        cosines.append(torch.cosine_similarity(means[0], means[1], dim=1))
    all_cosines = torch.cat(cosines)
    return OutputChange(largest, scale, float(all_cosines.mean()), float(all_cosines.min()))


def _first_output(model: Any, batch: Batch) -> torch.Tensor:
    output: torch.Tensor = model(**batch)[0]
    return output.float()


def _real_tokens(output: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return 1 for each token that is not padding, where there is an output for each token."""
    mask = batch.get("attention_mask")
    if output.ndim < 3 or mask is None or mask.shape != output.shape[:2]:
        return torch.ones(())
    return mask.reshape(*mask.shape, *[1] * (output.ndim - 2)).float()


def _mean_over_tokens(output: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return a vector for each sample, in double so that cosines near 1 are told apart."""
    if output.ndim < 3:
        return output.reshape(output.shape[0], -1).double()
    return (output * real).double().sum(1).flatten(1)  # its length does not matter to a cosine
