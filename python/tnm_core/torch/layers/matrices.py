"""The matrices of a model: all parameters of two axes or more, by layer and name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from tnm_core.torch.layers.parametrization import parametrizations_of_weight


def matrices_of(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Iterate over the own matrices of a module, by name: dense ones where they are parametrised.

    What is computed counts if it is called weight.
    """
    if isinstance(module, parametrize.ParametrizationList):
        return
    weight = weight_of(module)
    if weight is not None and axes_of(weight) >= 2:
        yield "weight", weight
    others: dict[str, torch.Tensor] = dict(module.named_parameters(recurse=False))
    if parametrize.is_parametrized(module):
        for name in cast(nn.ModuleDict, module.parametrizations):
            chain = cast(parametrize.ParametrizationList, parametrizations_of_weight(module, name))
            others[name] = chain.original if chain.is_tensor else getattr(module, name)
    for name, parameter in others.items():
        if name != "weight" and axes_of(parameter) >= 2:
            yield name, parameter


def weight_of(module: nn.Module) -> torch.Tensor | None:
    """Return what a module calls its weight: the dense one where that is parametrised."""
    chain = parametrizations_of_weight(module)
    if chain is not None and chain.is_tensor:
        return chain.original
    if isinstance(module, (nn.ParameterList, nn.ParameterDict)):
        return None
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, torch.Tensor) else None


def axes_of(parameter: torch.Tensor) -> int:
    """Count the axes of a parameter; two, if it has no shape yet."""
    return 2 if isinstance(parameter, UninitializedParameter) else parameter.ndim


def full_name(layer: str, parameter_name: str) -> str:
    """Return the name of a layer's parameter in its model."""
    return f"{layer}.{parameter_name}".removeprefix(".")
