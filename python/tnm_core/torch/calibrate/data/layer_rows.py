"""What a layer gets and returns, as the rows of its least-squares problems."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tnm_core.torch.calibrate.data.batches import drop_padding
from tnm_core.torch.calibrate.data.layer_matrices import CalibratedLayer, layer_matrices_of


def is_linear_map(layer: CalibratedLayer) -> bool:
    """Whether a layer returns nothing but its weight times its input, plus its bias."""
    if "forward" in vars(layer) or layer._forward_hooks:
        return False
    if isinstance(layer, nn.Conv2d):
        own = (type(layer).forward, type(layer)._conv_forward)
        return own == (nn.Conv2d.forward, nn.Conv2d._conv_forward)
    return type(layer).forward is nn.Linear.forward


def input_rows(
    layer: CalibratedLayer, given: torch.Tensor | None, rows: torch.Tensor | None = None
) -> torch.Tensor:
    """Return what a layer's weights meet in an input without padding: (groups, rows, columns)."""
    given = _without_padding(given, rows)
    matrices = layer_matrices_of(layer)
    if isinstance(layer, nn.Linear):
        return given.reshape(1, -1, matrices.channels)
    images = given[None] if given.ndim == 3 else given
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = functional.pad(images, layer._reversed_padding_repeated_twice, mode=mode)
    patches = functional.unfold(
        padded, layer.kernel_size, dilation=layer.dilation, stride=layer.stride
    )
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
