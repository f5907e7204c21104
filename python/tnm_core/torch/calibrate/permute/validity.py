"""Whether the units of a dimension can be moved at all, by the modules that it names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from tnm_core.torch.calibrate.permute.dimensions import (
    FreeDimension,
    channels_of,
    groups_of,
    is_depthwise,
    sizes_of,
)


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
        _why_sizes_do_not_fit(known, dimension)
        or _why_module_between_does_not_fit(known, dimension)
        or _why_groups_are_left(known, dimension)
    )


def _why_sizes_do_not_fit(known: Mapping[str, nn.Module], dimension: FreeDimension) -> str | None:
    flattens = _is_of_channels(known, dimension)
    units = sizes_of(known[dimension.outputs[0]])[0]
    sizes = {sizes_of(known[name])[0] for name in dimension.outputs}
    for name in dimension.inputs:
        size = sizes_of(known[name])[1]
        runs = flattens and isinstance(known[name], nn.Linear) and size % units == 0
        sizes.add(units if runs else size)
    if len(sizes) > 1:
        return f"sizes are {sorted(sizes)}, expected the same"
    if dimension.block is not None and (dimension.block < 1 or units % dimension.block):
        return f"block {dimension.block} does not divide {units} units"
    return None


def _why_module_between_does_not_fit(
    known: Mapping[str, nn.Module], dimension: FreeDimension
) -> str | None:
    flattens = _is_of_channels(known, dimension)
    units = sizes_of(known[dimension.outputs[0]])[0]
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


def _is_of_channels(known: Mapping[str, nn.Module], dimension: FreeDimension) -> bool:
    """Whether units are channels, each of which may be several features when flattened."""
    return any(isinstance(known[name], nn.Conv2d) for name in dimension.outputs)


def _why_groups_are_left(known: Mapping[str, nn.Module], dimension: FreeDimension) -> str | None:
    units = sizes_of(known[dimension.outputs[0]])[0]
    for name, groups, channels in groups_of(known, dimension):
        size = channels // groups
        if channels != units or dimension.block is None or size % dimension.block:
            return (
                f"{name!r} has {groups} groups of {size} channels and block is "
                f"{dimension.block}, expected a block that divides {size}: no channel can leave "
                "its group"
            )
    return None
