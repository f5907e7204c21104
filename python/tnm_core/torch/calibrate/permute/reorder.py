"""Moving the units of a dimension in every module that has something of them."""

from __future__ import annotations

import torch
from torch import nn

from tnm_core.torch.calibrate.data import layer_of
from tnm_core.torch.calibrate.permute.dimensions import FreeDimension, sizes_of


@torch.no_grad()
def reorder_(model: nn.Module, dimension: FreeDimension, order: torch.Tensor) -> None:
    """Put unit ``order[i]`` in place i, in every module of a dimension that fits."""
    for name in (*dimension.outputs, *dimension.through):
        _reorder_units_(model.get_submodule(name), order)
    for name in dimension.inputs:
        layer = layer_of(model, name)
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        weight = layer.weight
        by_group = weight.view(groups, -1, *weight.shape[1:])
        at = entries(order, sizes_of(layer)[1]).to(weight.device).view(groups, -1)
        at = at - at.shape[1] * torch.arange(groups, device=weight.device)[:, None]
        moved = [rows[:, columns] for rows, columns in zip(by_group, at, strict=True)]
        weight.copy_(torch.cat(moved))


def entries(order: torch.Tensor, size: int) -> torch.Tensor:
    """Return the order of so many entries, of which each unit has a run."""
    run = size // len(order)
    return (order[:, None] * run + torch.arange(run)).reshape(-1)


def _reorder_units_(module: nn.Module, order: torch.Tensor) -> None:
    """Reorder what a module has for each of its output channels."""
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    for _, tensor in own:
        if tensor.ndim and len(tensor) > 1:
            tensor.copy_(tensor[entries(order, len(tensor)).to(tensor.device)])
