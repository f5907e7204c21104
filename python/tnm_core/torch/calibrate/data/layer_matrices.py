"""Layers as least-squares problems: rows of inputs and outputs, weight matrices.

A linear layer is one problem. A convolution is one for each of its groups, with a column for every
kernel position and input channel, channels innermost, so that tiles of channels are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from tnm_core.arguments import Method
from tnm_core.pattern import Pattern
from tnm_core.torch.tensors import nm_mask, transposable_mask

# Layers that are pruned with calibration data.
CalibratedLayer = nn.Linear | nn.Conv2d
CALIBRATED_LAYERS: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv2d)


def layer_of(model: nn.Module, name: str) -> CalibratedLayer:
    """Return a layer by its name; `TypeError` for a module that cannot be calibrated."""
    module = model.get_submodule(name)
    if not isinstance(module, (nn.Linear, nn.Conv2d)):
        raise TypeError(f"{name!r} is a {type(module).__name__}, expected a Linear or Conv2d")
    return module


@dataclass(frozen=True)
class LayerMatrices:
    """How the weight of a layer becomes the matrices of its problems, and back.

    Attributes
    ----------
    groups, outputs : int
        Number of problems, and rows of the weight in each.
    positions, channels : int
        Kernel positions and input channels of a group; a problem has positions * channels columns.
    shape : tuple of int
        Of the weight.
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

    def of_weight(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a tensor like the weight as matrices, shape (groups, outputs, columns)."""
        by_channel = weight.reshape(self.groups, self.outputs, self.channels, self.positions)
        return by_channel.transpose(2, 3).reshape(self.groups, self.outputs, self.columns)

    def to_weight(self, matrices: torch.Tensor) -> torch.Tensor:
        """Undo `of_weight`."""
        by_position = matrices.reshape(self.groups, self.outputs, self.positions, self.channels)
        return by_position.transpose(2, 3).reshape(self.shape)

    def parameters(self, layer: CalibratedLayer) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the weight as matrices, and the bias, shape (groups, outputs), if there is one."""
        bias = layer.bias
        shift = None if bias is None else bias.detach().reshape(self.groups, self.outputs)
        return self.of_weight(layer.weight.detach()), shift

    def project(
        self, scores: torch.Tensor, pattern: Pattern, method: Method = "optimal"
    ) -> torch.Tensor:
        """Find the mask of highest score, both (groups, outputs, any positions * channels)."""
        tiled = scores.reshape(self.groups, self.outputs, -1, min(self.channels, scores.shape[-1]))
        tiled = tiled.transpose(1, 2).contiguous()
        if pattern.transposable:
            mask = transposable_mask(tiled, pattern, method=method, score="identity")
        else:
            mask = nm_mask(tiled, pattern, score="identity")
        return mask.transpose(1, 2).reshape(scores.shape)

    def tiles_of_columns(self, m: int) -> list[slice]:
        """Return the columns of a problem, in runs that tiles do not cross."""
        return [
            slice(start + first, start + min(first + m, self.channels))
            for start in range(0, self.columns, self.channels)
            for first in range(0, self.channels, m)
        ]


def layer_matrices_of(layer: CalibratedLayer) -> LayerMatrices:
    """Return the matrices that the weight of a layer consists of."""
    shape = tuple(layer.weight.shape)
    if isinstance(layer, nn.Linear):
        return LayerMatrices(1, shape[0], 1, shape[1], shape)
    groups = layer.groups
    return LayerMatrices(groups, shape[0] // groups, shape[2] * shape[3], shape[1], shape)
