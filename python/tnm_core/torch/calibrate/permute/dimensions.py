"""Dimensions inside a model whose units can change places, and what their modules have of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn


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


def sizes_of(layer: nn.Module) -> tuple[int, int]:
    """Return output and input features, or channels, of a Linear or Conv2d."""
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels, layer.in_channels
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    raise TypeError(f"layer is a {type(layer).__name__}, expected a Linear or Conv2d")


def units_of(model: nn.Module, dimension: FreeDimension) -> int:
    """Count the units of a dimension."""
    return sizes_of(model.get_submodule(dimension.outputs[0]))[0]


def groups_of(
    known: Mapping[str, nn.Module], dimension: FreeDimension
) -> Iterator[tuple[str, int, int]]:
    """Yield modules that treat channels in groups: name, groups, channels on the side meant."""
    for names, side in ((dimension.outputs, 0), (dimension.inputs, 1), (dimension.through, 1)):
        for name in names:
            module = known[name]
            if isinstance(module, nn.GroupNorm) and module.num_groups > 1:
                yield name, module.num_groups, module.num_channels
            if isinstance(module, nn.Conv2d) and module.groups > 1 and not is_depthwise(module):
                yield name, module.groups, sizes_of(module)[side]


def block_needed(model: nn.Module, dimension: FreeDimension) -> int | None:
    """Return the largest block that crosses no group of a module; None without groups."""
    sizes = [
        channels // groups
        for _, groups, channels in groups_of(dict(model.named_modules()), dimension)
    ]
    return math.gcd(*sizes) if sizes else None
