"""How the weight of a layer is read as matrices, and why some weights are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrize

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

# Matrices of mixtures of experts, by what their inputs are: the hidden state, or what was made.
_FROM_HIDDEN = frozenset({"gate_up_proj", "gate_proj", "up_proj", "w1", "w3"})
_TO_HIDDEN = frozenset({"down_proj", "w2"})


@dataclass(frozen=True)
class WeightAxes:
    """Two axes of a weight are the matrix; all others are a batch.

    Attributes
    ----------
    groups : int
        A grouped convolution has a matrix for each of its groups of rows.
    input_axis : int
        Along which of the two axes inputs lie, 0 or 1, and so the groups of row-wise patterns.
    is_stack : bool
        Whether the matrix is the last two axes, one for each expert of a mixture, and not the
        first two, one for each kernel position of a convolution.
    """

    groups: int = 1
    input_axis: int = 1
    is_stack: bool = False

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
            if values.ndim > rows + 2 and not is_sharded(values):
                # A copy with the matrix innermost is solved twice as fast as strided reads are.
                matrices = matrices.movedim(axes, (-2, -1)).contiguous().movedim((-2, -1), axes)
            find = finite_transposable_mask if known_finite else transposable_mask
            mask = find(matrices, pattern, method=method, score=score, axes=axes, threads=threads)
        return mask if mask.ndim == values.ndim else mask.flatten(0, 1)

    def violation(self, mask: torch.Tensor, pattern: Pattern) -> Violation | None:
        """Tell where a mask breaks the pattern; its index is that of the weight's matrices."""
        matrices, rows = self._matrices(mask.detach(), pattern)
        matrices = matrices.movedim((rows, rows + 1), (-2, -1))
        on_device = mask.device.type != "cpu" and pattern.transposable
        if on_device and full_tiles_hold(matrices, pattern):
            return None
        axis = -1 if pattern.transposable else self.input_axis - 2
        return check_mask(matrices.cpu().numpy(), pattern, axis=axis).violation

    def check_shards(self, weight: torch.Tensor, pattern: Pattern) -> None:
        """Refuse a weight whose shards cut tiles, or groups of m."""
        if is_sharded(weight):
            rows = weight.ndim - 2 if self.is_stack else 0
            axes = (rows, rows + 1) if pattern.transposable else (rows + self.input_axis,)
            check_cuts_between_tiles(weight, pattern.m, axes)

    def _matrices(self, weight: torch.Tensor, pattern: Pattern) -> tuple[torch.Tensor, int]:
        """View a weight so that tiles do not cross its groups; and tell which axis the rows are."""
        if self.is_stack:
            return weight, weight.ndim - 2
        if self._splits_tiles(weight, pattern):
            return weight.reshape(self.groups, -1, *weight.shape[1:]), 1
        return weight, 0

    def _splits_tiles(self, weight: torch.Tensor, pattern: Pattern) -> bool:
        """Tell whether groups end within tiles, or within groups of m."""
        if self.groups == 1 or not (pattern.transposable or self.input_axis == 0):
            return False
        return weight.shape[0] // self.groups % pattern.m != 0


def full_tiles_hold(masks: torch.Tensor, pattern: Pattern) -> bool:
    """Tell whether masks (..., rows, columns) are right and all their tiles full.

    They are counted where they lie, so that a device is asked once, and nothing is moved.
    """
    n, m = pattern.pair
    *batch, rows, columns = masks.shape
    if rows % m or columns % m:
        return False
    tiles = masks.reshape(*batch, rows // m, m, columns // m, m)
    return bool((tiles.sum(-1) == n).all() & (tiles.sum(-3) == n).all())


def weight_axes_of(
    module: nn.Module, weight: torch.Tensor, pattern: Pattern, name: str = "weight"
) -> WeightAxes | Skip:
    """Tell how to read a parameter of a layer, its weight if no name is given, or why it cannot be.

    Parameters
    ----------
    module : torch.nn.Module
        The layer that has it.
    weight : torch.Tensor
        The parameter itself, dense: two axes (out, in), or for ``Conv1D`` of transformers (in,
        out); a convolution's; or three axes, a matrix for each index of the first.
    pattern : Pattern
        What fits if there is one whole tile.
    name : str
        What the layer calls it.
    """
    if weight.ndim < 2:
        return SkipCode.FEW_AXES(axes=weight.ndim)
    if isinstance(module, _CONVOLUTIONS) and name == "weight":
        return _axes_of_convolution(module.groups, module.transposed, weight, pattern.m)
    if weight.ndim > 3:
        return SkipCode.MANY_AXES(axes=weight.ndim)
    axes = _axes_of_matrix(module, weight, name)
    if axes is None and not pattern.transposable:
        return SkipCode.UNKNOWN_ORDER()
    axes = axes or WeightAxes(is_stack=True)
    sides = ("out_features", "in_features")
    sizes = (weight.shape[-2] // axes.groups, weight.shape[-1])
    for side, size in zip(sides if axes.input_axis else sides[::-1], sizes, strict=True):
        if size < pattern.m:
            return SkipCode.FEW_FEATURES(side=side, size=size, m=pattern.m)
    return axes


def _axes_of_matrix(module: nn.Module, weight: torch.Tensor, name: str) -> WeightAxes | None:
    """Tell how a matrix or a stack of them is read; None if what the inputs are is not known."""
    if weight.ndim == 3:
        if not is_stack_of_experts("", module, name, weight):
            return WeightAxes(is_stack=True)
        axis = input_axis_of_experts(module)
        return None if axis is None else WeightAxes(input_axis=axis, is_stack=True)
    if is_conv1d(module) and name == "weight":
        return WeightAxes(input_axis=0)
    # The matrices of queries, keys and values, one below the other.
    stacked = isinstance(module, nn.MultiheadAttention) and name == "in_proj_weight"
    return WeightAxes(groups=3 if stacked else 1)


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


def is_conv1d(module: nn.Module) -> bool:
    """Tell whether a layer is the ``Conv1D`` of transformers, with a weight (in, out)."""
    made = sys.modules.get("transformers.pytorch_utils")
    return made is not None and isinstance(module, made.Conv1D)


def is_stack_of_experts(layer: str, module: nn.Module, name: str, weight: torch.Tensor) -> bool:
    """Tell whether a parameter holds a matrix for each expert of a mixture, one after the other."""
    if weight.ndim != 3 or name.endswith("bias"):
        return False
    kind = parametrize.type_before_parametrizations(module).__name__
    return (
        "Experts" in kind
        or isinstance(getattr(module, "is_transposed", None), bool)
        or layer.rpartition(".")[2] == "experts"
        or name in _FROM_HIDDEN | _TO_HIDDEN
    )


def input_axis_of_experts(module: nn.Module) -> int | None:
    """Tell along which of the last two axes inputs of the experts lie; None if that is not known.

    transformers says so in the module (``is_transposed``). Else sizes tell: that of the hidden
    state, or those of two matrices of which the second takes what the first makes.
    """
    transposed = getattr(module, "is_transposed", None)
    if isinstance(transposed, bool):
        return 0 if transposed else 1
    shapes = {name: tuple(weight.shape[-2:]) for name, weight in _stacks(module)}
    for name, shape in shapes.items():
        axis = _axis_by_size(module, name, shape)
        if axis is not None:
            return axis
    return _axis_by_pair(shapes)


def _stacks(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.ndim == 3:
            yield name, parameter
    chains = getattr(module, "parametrizations", {})
    for name in chains:
        if chains[name].is_tensor and chains[name].original.ndim == 3:
            yield name, chains[name].original


def _axis_by_size(module: nn.Module, name: str, shape: tuple[int, ...]) -> int | None:
    """Compare with the size of the inputs, or of the outputs, where a layer tells it."""
    if name in _TO_HIDDEN:
        inputs, outputs = None, _hidden_size(module)
    elif name in _FROM_HIDDEN:
        inputs, outputs = _hidden_size(module), None
    else:
        inputs, outputs = getattr(module, "input_size", None), None
    rows, columns = shape
    if rows == columns or (inputs is None and outputs is None):
        return None
    if columns == inputs or rows == outputs:
        return 1
    return 0 if rows == inputs or columns == outputs else None


def _hidden_size(module: nn.Module) -> int | None:
    owners = (module, getattr(module, "config", None))
    sizes = (getattr(one, name, None) for one in owners for name in ("hidden_size", "hidden_dim"))
    return next((size for size in sizes if isinstance(size, int)), None)


def _axis_by_pair(shapes: dict[str, tuple[int, ...]]) -> int | None:
    """Compare gate and up, beside each other, with the matrix that takes their product."""
    first, second = shapes.get("gate_up_proj"), shapes.get("down_proj")
    if first is None or second is None:
        return None
    inner, outer = second[1], second[0]
    is_out_in = first == (2 * inner, outer)
    is_in_out = first == (inner, 2 * outer)
    return None if is_out_in == is_in_out else int(is_out_in)
