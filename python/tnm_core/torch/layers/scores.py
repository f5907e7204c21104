"""What the entries of a layer's weight are worth, and how much of that a mask keeps."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tnm_core.arguments import Score
from tnm_core.torch.tensors import is_sharded, keep, local_values, sum_over_shards

# How kept entries are valued: by name, or by a function of a layer's name and weight.
ScoreLike = Score | Callable[[str, torch.Tensor], torch.Tensor]


def values_of(name: str, weight: torch.Tensor, score: ScoreLike) -> tuple[torch.Tensor, Score]:
    """Return a tensor like the weight (a DTensor for a DTensor) and how it makes scores."""
    weight = weight.detach()
    if not callable(score):
        return weight, score
    with torch.no_grad():
        scores = score(name, weight)
    if not isinstance(scores, torch.Tensor):
        raise TypeError(
            f"score of layer {name!r} is a {type(scores).__name__}, expected a tensor of "
            f"shape {tuple(weight.shape)}"
        )
    if scores.shape != weight.shape or is_sharded(scores) != is_sharded(weight):
        raise ValueError(
            f"score of layer {name!r} has shape {tuple(scores.shape)}, expected that of the "
            f"weight, {tuple(weight.shape)}, as a {type(weight).__name__}"
        )
    return scores.detach(), "identity"


def score_sums(values: torch.Tensor, score: Score, mask: torch.Tensor) -> torch.Tensor:
    """Add up the kept scores and all scores, in float64, of the whole tensor."""
    scores = local_values(values)
    if score == "abs":
        scores = scores.abs()
    elif score == "square":
        scores = scores.to(torch.float64).square()
    kept = keep(scores, local_values(mask)).sum(dtype=torch.float64)
    return sum_over_shards(torch.stack((kept, scores.sum(dtype=torch.float64))), values)
