"""How the weight of a layer is read as matrices, and why some weights are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from tnm_core.arguments import Method, Score
from tnm_core.check import Violation, check_mask
from tnm_core.torch.tensors import is_sharded, local_values, sum_over_shards, transposable_mask

__all__ = ["Layout", "ScoreLike", "layout_of", "score_sums", "values_of"]

# How kept entries are valued: by name, or by a function of a layer's name and weight.
ScoreLike = Score | Callable[[str, torch.Tensor], torch.Tensor]

_CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


@dataclass(frozen=True)
class Layout:
    """The first two axes of a weight are the matrix; other axes (kernel positions) are a batch.

    A grouped convolution has a matrix for each of its groups of rows.
    """

    groups: int = 1

    def solve(
        self,
        values: torch.Tensor,
        n: int,
        m: int,
        *,
        score: Score = "abs",
        method: Method = "optimal",
        threads: int | None = None,
    ) -> torch.Tensor:
        """Find the mask of a weight, or of what its entries are valued by."""

        def solve(values: torch.Tensor, axes: tuple[int, int]) -> torch.Tensor:
            if values.ndim > 2 and not is_sharded(values):
                # A copy with the matrix innermost is solved twice as fast as strided reads are.
                values = values.movedim(axes, (-2, -1)).contiguous().movedim((-2, -1), axes)
            return transposable_mask(
                values, n, m, method=method, score=score, axes=axes, threads=threads
            )

        if not self._splits_tiles(values, m):
            return solve(values, (0, 1))
        if is_sharded(values):
            raise ValueError(
                f"{self.groups} groups of {values.shape[0] // self.groups} rows are sharded, "
                f"expected groups of a multiple of m = {m} rows; exclude the layer"
            )
        return solve(self._by_group(values), (1, 2)).flatten(0, 1)

    def violation(self, mask: torch.Tensor, n: int, m: int) -> Violation | None:
        """Where a mask breaks the pattern; its index is that of the weight's matrices."""
        axes = (0, 1)
        if self._splits_tiles(mask, m):
            mask, axes = self._by_group(mask), (1, 2)
        return check_mask(mask.detach().cpu().movedim(axes, (-2, -1)).numpy(), n, m).violation

    def _by_group(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.reshape(self.groups, -1, *weight.shape[1:])

    def _splits_tiles(self, weight: torch.Tensor, m: int) -> bool:
        """Whether groups end within tiles."""
        return self.groups > 1 and weight.shape[0] // self.groups % m != 0


def layout_of(module: nn.Module, weight: torch.Tensor, m: int) -> Layout | str:
    """How to read a layer's weight, or the reason not to."""
    if weight.ndim < 2:
        return f"its weight has {weight.ndim} axes, expected at least 2"
    rows, columns = weight.shape[:2]
    if isinstance(module, _CONVOLUTIONS):
        groups = module.groups
        transposed = module.transposed
        names = ("input", "output") if transposed else ("output", "input")
        for name, size in zip(names, (rows // groups, columns), strict=True):
            if size < m:
                a_group = f" in each of {groups} groups" if groups > 1 else ""
                return f"{size} {name} channels{a_group} < m = {m}"
        return Layout(groups)
    if weight.ndim != 2:
        return f"its weight has {weight.ndim} axes and is not that of a convolution"
    for name, size in (("out_features", rows), ("in_features", columns)):
        if size < m:
            return f"{name} {size} < m = {m}"
    return Layout()


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
    """Sums of the kept scores and of all scores, in float64, of the whole tensor."""
    scores = local_values(values)
    if score == "abs":
        scores = scores.abs()
    elif score == "square":
        scores = scores.to(torch.float64).square()
    kept = (scores * local_values(mask)).sum(dtype=torch.float64)
    return sum_over_shards(torch.stack((kept, scores.sum(dtype=torch.float64))), values)
