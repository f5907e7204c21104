"""Dimensions inside a model whose units can change places, and moving them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

__all__ = [
    "FreeDimension",
    "block_needed",
    "channels_of",
    "entries",
    "is_depthwise",
    "why_invalid",
    "reorder_",
    "units_of",
]


@dataclass(frozen=True)
class FreeDimension:
    """A dimension inside a model whose order does not matter to what the model computes.

    Its units are the output features of Linear layers or the output channels of Conv2d layers.

    Attributes
    ----------
    outputs : tuple of str
        Layers whose outputs it is: their rows and biases move.
    inputs : tuple of str
        Layers whose inputs it is: their columns move, or their input channels. In a Linear after
        flattened channels, each channel is a run of columns.
    block : int or None
        Units move only within consecutive blocks of so many, such as a head's; None for all.
        Where a layer has groups, blocks that do not cross them.
    through : tuple of str
        Modules between with something of their own for each unit, which moves along: batch, group,
        layer and other normalisation, PReLU, depthwise convolutions.
    """

    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    block: int | None = None
    through: tuple[str, ...] = ()


def is_depthwise(module: nn.Module) -> bool:
    """Whether every channel is convolved on its own."""
    return type(module) is nn.Conv2d and module.groups == module.in_channels > 1


def channels_of(module: nn.Module) -> int | None:
    """How many channels a module has parameters for; None if it mixes or does not know them."""
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return module.num_features
    if isinstance(module, nn.GroupNorm):
        return module.num_channels
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
        shape = module.normalized_shape
        return int(shape[0]) if len(shape) in (1, 3) else None  # features, or a whole image
    if isinstance(module, nn.PReLU):
        return module.num_parameters
    return module.in_channels if is_depthwise(module) else None  # type: ignore[return-value]


def units_of(model: nn.Module, dimension: FreeDimension) -> int:
    """How many units a dimension has."""
    return _sizes(model.get_submodule(dimension.outputs[0]))[0]


def block_needed(model: nn.Module, dimension: FreeDimension) -> int | None:
    """The largest block that crosses no group of a layer or normalisation; None without groups."""
    sizes = [
        channels // groups
        for _, groups, channels in _groups(dict(model.named_modules()), dimension)
    ]
    return math.gcd(*sizes) if sizes else None


def why_invalid(model: nn.Module, dimension: FreeDimension) -> str | None:
    """Why the units of a dimension cannot be moved, if so."""
    if not dimension.outputs:
        return "outputs is empty, expected at least one layer"
    known = dict(model.named_modules())
    for name in (*dimension.outputs, *dimension.inputs, *dimension.through):
        if name not in known:
            return f"{name!r} is not in the model, expected names of model.named_modules()"
    for name in (*dimension.outputs, *dimension.inputs):
        layer = known[name]
        if type(layer) not in (nn.Linear, nn.Conv2d):
            return f"{name!r} is a {type(layer).__name__}, expected a dense Linear or Conv2d"
        if is_depthwise(layer):
            return f"{name!r} is depthwise, expected it in through="
    return _why_invalid_sizes(known, dimension) or _why_invalid_groups(known, dimension)


def _why_invalid_sizes(known: dict[str, nn.Module], dimension: FreeDimension) -> str | None:
    outputs = [known[name] for name in dimension.outputs]
    flattens = any(isinstance(layer, nn.Conv2d) for layer in outputs)
    units = _sizes(outputs[0])[0]
    sizes = {_sizes(layer)[0] for layer in outputs}
    for name in dimension.inputs:
        size = _sizes(known[name])[1]
        runs = flattens and isinstance(known[name], nn.Linear) and size % units == 0
        sizes.add(units if runs else size)
    if len(sizes) > 1:
        return f"sizes are {sorted(sizes)}, expected the same"
    if dimension.block is not None and (dimension.block < 1 or units % dimension.block):
        return f"block {dimension.block} does not divide {units} units"
    for name in dimension.through:
        module = known[name]
        channels = channels_of(module)
        if channels is None:
            return (
                f"{name!r} is a {type(module).__name__}, expected a normalisation of the units, "
                "PReLU or a depthwise Conv2d in through="
            )
        one_for_all = isinstance(module, nn.PReLU) and channels == 1
        if not one_for_all and (channels % units or (channels != units and not flattens)):
            return f"{name!r} has {channels} channels, expected {units}, one for each unit"
    return None


def _why_invalid_groups(known: dict[str, nn.Module], dimension: FreeDimension) -> str | None:
    units = _sizes(known[dimension.outputs[0]])[0]
    for name, groups, channels in _groups(known, dimension):
        size = channels // groups
        if channels != units or dimension.block is None or size % dimension.block:
            return (
                f"{name!r} has {groups} groups of {size} channels and block is "
                f"{dimension.block}, expected a block that divides {size}: no channel can leave "
                "its group"
            )
    return None


def _groups(
    known: dict[str, nn.Module], dimension: FreeDimension
) -> Iterator[tuple[str, int, int]]:
    """Modules that treat channels in several groups: name, groups, channels on the side meant."""
    for names, side in ((dimension.outputs, 0), (dimension.inputs, 1), (dimension.through, 1)):
        for name in names:
            module = known[name]
            if isinstance(module, nn.GroupNorm) and module.num_groups > 1:
                yield name, module.num_groups, module.num_channels
            if isinstance(module, nn.Conv2d) and module.groups > 1 and not is_depthwise(module):
                yield name, module.groups, _sizes(module)[side]


@torch.no_grad()
def reorder_(model: nn.Module, dimension: FreeDimension, order: torch.Tensor) -> None:
    """Put unit ``order[i]`` in place i, in every module of a dimension that fits."""
    for name in dimension.outputs:
        _move(model.get_submodule(name), order)
    for name in dimension.through:
        _move(model.get_submodule(name), order)
    for name in dimension.inputs:
        layer = model.get_submodule(name)
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        weight = layer.weight
        by_group = weight.view(groups, -1, *weight.shape[1:])
        at = entries(order, _sizes(layer)[1]).to(weight.device).view(groups, -1)
        at = at - at.shape[1] * torch.arange(groups, device=weight.device)[:, None]
        moved = [rows[:, columns] for rows, columns in zip(by_group, at, strict=True)]
        weight.copy_(torch.cat(moved))


def entries(order: torch.Tensor, size: int) -> torch.Tensor:
    """The order of so many entries, of which each unit has a run."""
    run = size // len(order)
    return (order[:, None] * run + torch.arange(run)).reshape(-1)


def _move(module: nn.Module, order: torch.Tensor) -> None:
    """Reorder what a module has for each of its output channels."""
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    for _, tensor in own:
        if tensor.ndim and len(tensor) > 1:
            tensor.copy_(tensor[entries(order, len(tensor)).to(tensor.device)])


def _sizes(layer: nn.Module) -> tuple[int, int]:
    """Output and input features or channels."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    assert isinstance(layer, nn.Conv2d)
    return layer.out_channels, layer.in_channels
