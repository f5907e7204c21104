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
from tnm_core.torch.calibrate.data.batches import drop_padding
from tnm_core.torch.calibrate.data.unfolding import Unfolding
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
    """How the weight of a layer becomes the matrices of its problems, one a group, and back."""

    groups: int
    outputs: int  # of a group
    positions: int  # of the kernel
    channels: int  # that a group gets
    shape: tuple[int, ...]  # of the weight

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


def parameters_of(*layers: CalibratedLayer) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Copy the weights as matrices, outputs of layers beside each other, and the biases, if any.

    Biases have the shape (groups, outputs).
    """
    weights = [layer_matrices_of(layer).of_weight(layer.weight.detach()) for layer in layers]
    biases = [
        layer.bias.detach().reshape(weight.shape[:2])
        for layer, weight in zip(layers, weights, strict=True)
        if layer.bias is not None
    ]
    return torch.cat(weights, 1), torch.cat(biases, 1) if biases else None


def write_parameters_(
    layer: CalibratedLayer, weight: torch.Tensor, bias: torch.Tensor | None
) -> None:
    """Give a layer another weight, as matrices, and another bias."""
    layer.weight.detach().copy_(layer_matrices_of(layer).to_weight(weight))
    if bias is not None and layer.bias is not None:
        layer.bias.detach().copy_(bias.reshape(-1))


def has_own_code(module: nn.Module) -> bool:
    """Whether a Linear or Conv2d runs other code than these do; False for other modules."""
    if isinstance(module, nn.Conv2d):
        own = (type(module).forward, type(module)._conv_forward)
        changed = own != (nn.Conv2d.forward, nn.Conv2d._conv_forward)
        return changed or bool({"forward", "_conv_forward"} & vars(module).keys())
    if isinstance(module, nn.Linear):
        return "forward" in vars(module) or type(module).forward is not nn.Linear.forward
    return False


def is_own_convolution(module: nn.Module) -> bool:
    """Whether a module is a Conv2d with code of its own, of which its calls of conv2d count."""
    return isinstance(module, nn.Conv2d) and has_own_code(module)


def is_linear_map(layer: CalibratedLayer) -> bool:
    """Whether what counts as a layer's output is its weight times its rows, plus its bias.

    Of a convolution with code of its own it is what conv2d returns to that.
    """
    return is_own_convolution(layer) or not (has_own_code(layer) or layer._forward_hooks)


def input_rows(
    layer: CalibratedLayer,
    given: torch.Tensor | None,
    rows: torch.Tensor | None = None,
    unfolding: Unfolding | None = None,
) -> torch.Tensor:
    """Return what a layer's weights meet in an input without padding: (groups, rows, columns).

    `unfolding` is that of the call of conv2d, where it is not the layer's.
    """
    given = _without_padding(given, rows)
    matrices = layer_matrices_of(layer)
    if isinstance(layer, nn.Linear):
        return given.reshape(1, -1, matrices.channels)
    images = given[None] if given.ndim == 3 else given
    patches = (unfolding or Unfolding.of_layer(layer)).patches(images)
    by_group = patches.reshape(
        images.shape[0], matrices.groups, matrices.channels, matrices.positions, -1
    )
    return by_group.permute(1, 0, 4, 3, 2).reshape(matrices.groups, -1, matrices.columns)


def output_rows(
    layer: CalibratedLayer, returned: torch.Tensor | None, rows: torch.Tensor | None = None
) -> torch.Tensor:
    """Return what a layer returned, without padding: (groups, rows, outputs)."""
    returned = _without_padding(returned, rows)
    matrices = layer_matrices_of(layer)
    if isinstance(layer, nn.Linear):
        return returned.reshape(1, -1, matrices.outputs)
    images = returned[None] if returned.ndim == 3 else returned
    by_group = images.reshape(images.shape[0], matrices.groups, matrices.outputs, -1)
    return by_group.permute(1, 0, 3, 2).reshape(matrices.groups, -1, matrices.outputs)


def _without_padding(tensor: torch.Tensor | None, rows: torch.Tensor | None) -> torch.Tensor:
    if tensor is None:
        raise TypeError("a layer gets or returns no tensor, expected one")
    return drop_padding(tensor, rows)
