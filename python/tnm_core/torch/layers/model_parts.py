"""The parts of a model: what wraps it, layers in their places, and all its matrices by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from tnm_core.torch.layers.parametrization import parametrizations_of_weight


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside torch.compile and DistributedDataParallel, so that names are its."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def check_not_distributed(model: nn.Module, function: str) -> None:
    """Refuse a model in which something has taken hold of the parameters as they are now."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    kinds = (nn.parallel.DistributedDataParallel,)
    kinds += () if fsdp is None else (fsdp.FullyShardedDataParallel,)
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            raise ValueError(
                f"{name or 'the model'} is wrapped by {type(module).__name__}, expected a model "
                f"that is not yet: call {function} first, and wrap it then"
            )


def check_can_change(name: str, weight: torch.Tensor) -> None:
    """Refuse a weight that can be neither written nor trained."""
    if weight.is_inference():
        raise ValueError(
            f"layer {name!r} was made under torch.inference_mode(), expected a weight that can be "
            "changed; make or load the model outside of it"
        )


def has_hooks(layer: nn.Module) -> bool:
    """Tell whether hooks would be lost with a layer."""
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
    )


def replace_layer(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer in the place of another, named as in `torch.nn.Module.named_modules`."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, layer)


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
        # A bias without a shape will be none of two axes.
        lazy_bias = name == "bias" and isinstance(parameter, UninitializedParameter)
        if name != "weight" and not lazy_bias and axes_of(parameter) >= 2:
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
