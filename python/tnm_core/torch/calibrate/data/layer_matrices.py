"""How a layer is read as least-squares problems: rows of inputs and outputs, weight matrices.

A linear layer is one problem. A convolution is one for each of its groups, with a column for every
kernel position and input channel, channels innermost, so that tiles of channels are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from tnm_core.arguments import Method
from tnm_core.pattern import Pattern, as_pattern
from tnm_core.torch.tensors import nm_mask, transposable_mask

__all__ = [
    "Geometry",
    "LayerPattern",
    "geometry_of",
    "input_rows",
    "is_linear_map",
    "output_rows",
    "parse_layer_pattern",
]


@dataclass(frozen=True)
class LayerPattern:
    """n of m are kept: along rows and columns, or along rows alone.

    Attributes
    ----------
    n, m : int
        n is what is kept.
    transposable : bool
        False for the row-wise pattern.
    """

    n: int
    m: int
    transposable: bool = True

    def __str__(self) -> str:
        return f"{self.n}:{self.m}" if self.transposable else f"row {self.n}:{self.m}"

    @property
    def density(self) -> float:
        """Share of the entries that is kept."""
        return self.n / self.m


def parse_layer_pattern(pattern: str | tuple[int, int] | LayerPattern) -> LayerPattern:
    """Read ``"2:4"`` (transposable), ``"row 2:4"``, ``(2, 4)`` or a `LayerPattern`."""
    if isinstance(pattern, LayerPattern):
        found = Pattern(pattern.n, pattern.m, pattern.transposable)
    else:
        found = as_pattern(pattern)
    return LayerPattern(found.n, found.m, found.transposable)


@dataclass(frozen=True)
class Geometry:
    """The shapes of a layer's problems.

    Attributes
    ----------
    groups, outputs : int
        Number of problems, and rows of the weight in each.
    positions, channels : int
        Kernel positions and input channels of a group; a problem has positions * channels columns.
    """

    groups: int
    outputs: int
    positions: int
    channels: int
    shape: tuple[int, ...]

    @property
    def columns(self) -> int:
        """Columns of a problem."""
        return self.positions * self.channels

    def matrices(self, weight: torch.Tensor) -> torch.Tensor:
        """A tensor like the weight as matrices, shape (groups, outputs, columns)."""
        by_channel = weight.reshape(self.groups, self.outputs, self.channels, self.positions)
        return by_channel.transpose(2, 3).reshape(self.groups, self.outputs, self.columns)

    def weight(self, matrices: torch.Tensor) -> torch.Tensor:
        """Undo `matrices`."""
        by_position = matrices.reshape(self.groups, self.outputs, self.positions, self.channels)
        return by_position.transpose(2, 3).reshape(self.shape)

    def parameters(self, module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A layer's weight as matrices, and its bias, shape (groups, outputs), if it has one."""
        weight, bias = module.weight, getattr(module, "bias", None)
        assert isinstance(weight, torch.Tensor)
        shift = None if bias is None else bias.detach().reshape(self.groups, self.outputs)
        return self.matrices(weight.detach()), shift

    def project(
        self, scores: torch.Tensor, pattern: LayerPattern, method: Method = "optimal"
    ) -> torch.Tensor:
        """The mask of highest score, both of shape (groups, outputs, any positions * channels)."""
        tiled = scores.reshape(self.groups, self.outputs, -1, min(self.channels, scores.shape[-1]))
        tiled = tiled.transpose(1, 2).contiguous()
        if pattern.transposable:
            mask = transposable_mask(tiled, pattern.n, pattern.m, method=method, score="identity")
        else:
            mask = nm_mask(tiled, pattern.n, pattern.m, score="identity")
        return mask.transpose(1, 2).reshape(scores.shape)

    def tiles_of_columns(self, m: int) -> list[slice]:
        """The columns of a problem, in runs that tiles do not cross."""
        return [
            slice(start + first, start + min(first + m, self.channels))
            for start in range(0, self.columns, self.channels)
            for first in range(0, self.channels, m)
        ]


def geometry_of(module: nn.Module) -> Geometry | str:
    """The problems of a layer, or why it has none."""
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    shape = tuple(weight.shape)
    if isinstance(module, nn.Linear):
        return Geometry(1, shape[0], 1, shape[1], shape)
    if isinstance(module, nn.Conv2d):
        positions = shape[2] * shape[3]
        return Geometry(module.groups, shape[0] // module.groups, positions, shape[1], shape)
    return f"{type(module).__name__} cannot be calibrated, expected Linear or Conv2d"


def is_linear_map(module: nn.Module) -> bool:
    """Whether a layer returns nothing but its weight times its input, plus its bias."""
    if "forward" in vars(module) or module._forward_hooks:
        return False
    if isinstance(module, nn.Conv2d):
        own = (type(module).forward, type(module)._conv_forward)
        return own == (nn.Conv2d.forward, nn.Conv2d._conv_forward)
    return type(module).forward is nn.Linear.forward


def input_rows(module: nn.Module, given: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """What a layer's weights meet, shape (groups, rows, columns)."""
    if isinstance(module, nn.Linear):
        return given.reshape(1, -1, geometry.channels)
    assert isinstance(module, nn.Conv2d)
    images = given[None] if given.ndim == 3 else given
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = functional.pad(images, module._reversed_padding_repeated_twice, mode=mode)
    patches = functional.unfold(
        padded, module.kernel_size, dilation=module.dilation, stride=module.stride
    )
    by_group = patches.reshape(
        images.shape[0], geometry.groups, geometry.channels, geometry.positions, -1
    )
    return by_group.permute(1, 0, 4, 3, 2).reshape(geometry.groups, -1, geometry.columns)


def output_rows(module: nn.Module, given: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """What a layer returned, shape (groups, rows, outputs)."""
    if isinstance(module, nn.Linear):
        return given.reshape(1, -1, geometry.outputs)
    images = given[None] if given.ndim == 3 else given
    by_group = images.reshape(images.shape[0], geometry.groups, geometry.outputs, -1)
    return by_group.permute(1, 0, 3, 2).reshape(geometry.groups, -1, geometry.outputs)
