"""How the weight of a layer is read as matrices, and why some weights are not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from tnm_core.arguments import Method, Score
from tnm_core.check import Violation, check_mask
from tnm_core.pattern import Pattern
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.tensors import (
    check_cuts_between_tiles,
    finite_transposable_mask,
    is_sharded,
    nm_mask,
    transposable_mask,
)

_CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


@dataclass(frozen=True)
class WeightAxes:
    """The first two axes of a weight are the matrix; other axes (kernel positions) are a batch.

    Attributes
    ----------
    groups : int
        A grouped convolution has a matrix for each of its groups of rows.
    input_axis : int
        Along which of the first two axes inputs lie, and so the groups of row-wise patterns.
    """

    groups: int = 1
    input_axis: int = 1

    def solve(
        self,
        values: torch.Tensor,
        pattern: Pattern,
        *,
        score: Score = "abs",
        method: Method = "optimal",
        threads: int | None = None,
        known_finite: bool = False,
    ) -> torch.Tensor:
        """Find the mask of a weight, or of what its entries are valued by.

        With `known_finite` nobody looks whether the values are finite, where that takes a wait.
        """
        if self._splits_tiles(values, pattern) and is_sharded(values):
            raise ValueError(
                f"{self.groups} groups of {values.shape[0] // self.groups} rows are sharded, "
                f"expected groups of a multiple of m = {pattern.m} rows; exclude the layer"
            )
        matrices, rows = self._matrices(values, pattern)
        if not pattern.transposable:
            axis = rows + self.input_axis
            mask = nm_mask(matrices, pattern, axis=axis, score=score, threads=threads)
        else:
            axes = (rows, rows + 1)
            if values.ndim > 2 and not is_sharded(values):
                # A copy with the matrix innermost is solved twice as fast as strided reads are.
                matrices = matrices.movedim(axes, (-2, -1)).contiguous().movedim((-2, -1), axes)
            find = finite_transposable_mask if known_finite else transposable_mask
            mask = find(matrices, pattern, method=method, score=score, axes=axes, threads=threads)
        return mask.flatten(0, 1) if rows else mask

    def violation(self, mask: torch.Tensor, pattern: Pattern) -> Violation | None:
        """Tell where a mask breaks the pattern; its index is that of the weight's matrices."""
        matrices, rows = self._matrices(mask.detach().cpu(), pattern)
        flags = matrices.movedim((rows, rows + 1), (-2, -1)).numpy()
        axis = -1 if pattern.transposable else self.input_axis - 2
        return check_mask(flags, pattern, axis=axis).violation

    def check_shards(self, weight: torch.Tensor, pattern: Pattern) -> None:
        """Refuse a weight whose shards cut tiles, or groups of m."""
        if is_sharded(weight):
            axes = (0, 1) if pattern.transposable else (self.input_axis,)
            check_cuts_between_tiles(weight, pattern.m, axes)

    def _matrices(self, weight: torch.Tensor, pattern: Pattern) -> tuple[torch.Tensor, int]:
        """View a weight so that tiles do not cross its groups; and tell which axis the rows are."""
        if self._splits_tiles(weight, pattern):
            return weight.reshape(self.groups, -1, *weight.shape[1:]), 1
        return weight, 0

    def _splits_tiles(self, weight: torch.Tensor, pattern: Pattern) -> bool:
        """Tell whether groups end within tiles, or within groups of m."""
        if self.groups == 1 or not (pattern.transposable or self.input_axis == 0):
            return False
        return weight.shape[0] // self.groups % pattern.m != 0


def weight_axes_of(module: nn.Module, weight: torch.Tensor, m: int) -> WeightAxes | Skip:
    """Tell how to read a layer's weight, or why it cannot be."""
    if weight.ndim < 2:
        return SkipCode.FEW_AXES(axes=weight.ndim)
    if isinstance(module, _CONVOLUTIONS):
        return _axes_of_convolution(module.groups, module.transposed, weight, m)
    if weight.ndim != 2:
        return SkipCode.MANY_AXES(axes=weight.ndim)
    for side, size in zip(("out_features", "in_features"), weight.shape, strict=True):
        if size < m:
            return SkipCode.FEW_FEATURES(side=side, size=size, m=m)
    return WeightAxes()


def _axes_of_convolution(
    groups: int, transposed: bool, weight: torch.Tensor, m: int
) -> WeightAxes | Skip:
    sides = ("input", "output") if transposed else ("output", "input")
    for side, size in zip(sides, (weight.shape[0] // groups, weight.shape[1]), strict=True):
        if size < m and groups > 1:
            return SkipCode.FEW_CHANNELS_PER_GROUP(size=size, side=side, groups=groups, m=m)
        if size < m:
            return SkipCode.FEW_CHANNELS(size=size, side=side, m=m)
    return WeightAxes(groups, input_axis=0 if transposed else 1)
