"""Dimensions inside a model whose units can change places: whether they can, and moving them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from tnm_core.short_repr import short_repr
from tnm_core.torch.calibrate.data import layer_of


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
        Where a layer has groups, blocks that do not cross them. A Linear may have several times as
        many units as another one, as the queries of grouped-query attention and the layer behind
        it do: then so many blocks next to each other move like one block of the other layer.
    through : tuple of str
        Modules between with something of their own for each unit, which moves along: batch, group,
        layer and other normalisation, PReLU, depthwise convolutions.
    """

    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    block: int | None = None
    through: tuple[str, ...] = ()

    __repr__ = short_repr


def is_depthwise(module: nn.Module) -> bool:
    """Whether every channel is convolved on its own."""
    return type(module) is nn.Conv2d and module.groups == module.in_channels > 1


def channels_of(module: nn.Module) -> int | None:
    """Count the channels a module has parameters for; None if it mixes or does not know them."""
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


def _sizes_of(layer: nn.Module) -> tuple[int, int]:
    """Return output and input features, or channels, of a Linear or Conv2d."""
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels, layer.in_channels
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    raise TypeError(f"layer is a {type(layer).__name__}, expected a Linear or Conv2d")


def units_of(model: nn.Module, dimension: FreeDimension) -> int:
    """Count the units of a dimension: those of keys and values where queries have more heads."""
    return min(_sizes_of(model.get_submodule(name))[0] for name in dimension.outputs)


def flattens(model: nn.Module, dimension: FreeDimension) -> bool:
    """Tell whether each unit may be several features of a Linear, after channels."""
    return any(isinstance(model.get_submodule(name), nn.Conv2d) for name in dimension.outputs)


def _groups_of(model: nn.Module, dimension: FreeDimension) -> Iterator[tuple[str, int, int]]:
    """Yield modules that treat channels in groups: name, groups, channels on the side meant."""
    for names, side in ((dimension.outputs, 0), (dimension.inputs, 1), (dimension.through, 1)):
        for name in names:
            module = model.get_submodule(name)
            if isinstance(module, nn.GroupNorm) and module.num_groups > 1:
                yield name, module.num_groups, module.num_channels
            if isinstance(module, nn.Conv2d) and module.groups > 1 and not is_depthwise(module):
                yield name, module.groups, _sizes_of(module)[side]


def block_needed(model: nn.Module, dimension: FreeDimension) -> int | None:
    """Return the largest block that crosses no group of a module; None without groups."""
    sizes = [channels // groups for _, groups, channels in _groups_of(model, dimension)]
    return math.gcd(*sizes) if sizes else None


def why_invalid(model: nn.Module, dimension: FreeDimension) -> str | None:
    """Say why the units of a dimension cannot be moved; None if they can."""
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
    return (
        _why_sizes_do_not_fit(model, dimension)
        or _why_module_between_does_not_fit(model, dimension, flattens(model, dimension))
        or _why_groups_are_left(model, dimension)
    )


def _why_sizes_do_not_fit(model: nn.Module, dimension: FreeDimension) -> str | None:
    units, channels = units_of(model, dimension), flattens(model, dimension)
    repeats = dimension.block is not None and not channels
    sizes = set()
    for names, side in ((dimension.outputs, 0), (dimension.inputs, 1)):
        for name in names:
            layer = model.get_submodule(name)
            size = _sizes_of(layer)[side]
            runs = channels and side == 1 and isinstance(layer, nn.Linear)
            sizes.add(units if (runs or repeats) and size % units == 0 else size)
    if len(sizes) > 1:
        return f"sizes are {sorted(sizes)}, expected the same"
    if dimension.block is not None and (dimension.block < 1 or units % dimension.block):
        return f"block {dimension.block} does not divide {units} units"
    return None


def _why_module_between_does_not_fit(
    model: nn.Module, dimension: FreeDimension, flattened: bool
) -> str | None:
    units = units_of(model, dimension)
    for name in dimension.through:
        module = model.get_submodule(name)
        channels = channels_of(module)
        if channels is None:
            return (
                f"{name!r} is a {type(module).__name__}, expected a normalisation of the units, "
                "PReLU or a depthwise Conv2d in through="
            )
        one_for_all = isinstance(module, nn.PReLU) and channels == 1
        if not one_for_all and (channels % units or (channels != units and not flattened)):
            return f"{name!r} has {channels} channels, expected {units}, one for each unit"
    return None


def _why_groups_are_left(model: nn.Module, dimension: FreeDimension) -> str | None:
    units = units_of(model, dimension)
    for name, groups, channels in _groups_of(model, dimension):
        size = channels // groups
        if channels != units or dimension.block is None or size % dimension.block:
            return (
                f"{name!r} has {groups} groups of {size} channels and block is "
                f"{dimension.block}, expected a block that divides {size}: no channel can leave "
                "its group"
            )
    return None


@torch.no_grad()
def reorder_(model: nn.Module, dimension: FreeDimension, order: torch.Tensor) -> None:
    """Put unit ``order[i]`` in place i, in every module of a dimension that fits."""
    block = None if flattens(model, dimension) else dimension.block
    for name in (*dimension.outputs, *dimension.through):
        module = model.get_submodule(name)
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if tensor.ndim and len(tensor) > 1:
                tensor.copy_(tensor[entries(order, len(tensor), block).to(tensor.device)])
    for name in dimension.inputs:
        layer = layer_of(model, name)
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        weight = layer.weight
        by_group = weight.view(groups, -1, *weight.shape[1:])
        at = entries(order, _sizes_of(layer)[1], block).to(weight.device).view(groups, -1)
        at = at - at.shape[1] * torch.arange(groups, device=weight.device)[:, None]
        moved = [rows[:, columns] for rows, columns in zip(by_group, at, strict=True)]
        weight.copy_(torch.cat(moved))


def entries(order: torch.Tensor, size: int, block: int | None = None) -> torch.Tensor:
    """Return the order of so many entries, of which each unit has several.

    They are a run of each unit; or, if there is a `block`, blocks next to each other that move
    alike.
    """
    several = size // len(order)
    if block is None:
        return (order[:, None] * several + torch.arange(several)).reshape(-1)
    within = order.view(-1, block) % block
    starts = torch.arange(size // block).view(-1, several, 1) * block
    return (starts + within[:, None]).reshape(-1)


def beside_each_other(rows: torch.Tensor, units: int, block: int) -> torch.Tensor:
    """Put the rows that move alike, as `entries` has them with a block, in one row each."""
    by_block = rows.view(units // block, -1, block, rows.shape[1])
    return by_block.transpose(1, 2).reshape(units, -1)
