"""Which layers of a model are made sparse, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern
from tnm_core.selection import Selection
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.layers.masked_weights import unwrap
from tnm_core.torch.layers.matrix_order import is_conv1d, is_stack_of_experts
from tnm_core.torch.layers.parametrization import masked_parametrization, parametrizations_of_weight
from tnm_core.torch.layers.shared_memory import SharedMemory, overlaps_itself
from tnm_core.torch.layers.weight_axes import WeightAxes, weight_axes_of
from tnm_core.torch.tensors import is_sharded

Types = tuple[type[nn.Module], ...]


@dataclass(frozen=True)
class Candidate:
    """A parameter that is a matrix, or several: how it is read, or why it is left alone.

    Attributes
    ----------
    name : str
        That of the layer if the parameter is its ``weight``, else that of the parameter.
    module : torch.nn.Module
        The layer that has it.
    kind : str
        The layer's class.
    shape : tuple of int
        Of the parameter; empty if it has none yet.
    verdict : WeightAxes or Skip
        How it is read as matrices, or why not.
    parameter_name : str
        What the layer calls it.
    """

    name: str
    module: nn.Module
    kind: str
    shape: tuple[int, ...]
    verdict: WeightAxes | Skip
    parameter_name: str = "weight"

    @property
    def skip(self) -> Skip | None:
        """Why it is left alone; None if it is chosen."""
        return self.verdict if isinstance(self.verdict, Skip) else None

    @property
    def weight(self) -> torch.Tensor:
        """The parameter, if it is chosen."""
        return cast(torch.Tensor, getattr(self.module, self.parameter_name))


def select_layers(
    model: nn.Module, pattern: Pattern, selection: Selection, layers: Types
) -> list[Candidate]:
    """Judge all matrices of a model, and check the arguments that choose them.

    By default those are chosen that are the weight of a layer of the types `layers`; with
    `torch.nn.Linear` also ``Conv1D`` of transformers and the weights of experts. Any other is if a
    shell pattern of `include` names it.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    layers = layers if isinstance(layers, tuple) else (layers,)
    for layer in layers:
        if not (isinstance(layer, type) and issubclass(layer, nn.Module)):
            raise TypeError(
                f"layers holds {layer!r}, expected module classes, such as torch.nn.Linear"
            )
    model = unwrap(model)
    unmatched = selection.unmatched(_names(model))
    if unmatched:
        raise ValueError(
            f"include {unmatched[0]!r} matches no layer, expected names such as those of "
            "model.named_modules(), or of parameters with two axes or more"
        )
    found = list(_candidates(model, pattern, selection, layers))
    for one in found:
        if one.skip is None and one.weight.is_inference():
            raise ValueError(
                f"layer {one.name!r} was made under torch.inference_mode(), expected a weight that "
                "can be changed; make or load the model outside of it"
            )
    return found


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


def full_name(layer: str, parameter_name: str) -> str:
    """Return the name of a layer's parameter in its model."""
    return f"{layer}.{parameter_name}".removeprefix(".")


def _names(model: nn.Module) -> Iterator[str]:
    for layer, module in model.named_modules():
        yield layer
        yield from (full_name(layer, own) for own, _ in matrices_of(module))


def _candidates(
    model: nn.Module, pattern: Pattern, selection: Selection, layers: Types
) -> Iterator[Candidate]:
    """Judge every parameter of two axes or more, and every weight of the layers that are meant."""
    memory = SharedMemory(model)
    for layer, module in model.named_modules():
        kind = parametrize.type_before_parametrizations(module).__name__
        matrices = dict(matrices_of(module))
        weight = weight_of(module)
        if weight is not None and isinstance(module, layers):
            matrices.setdefault("weight", weight)
        for own, parameter in matrices.items():
            shape = () if isinstance(parameter, UninitializedParameter) else tuple(parameter.shape)
            verdict = (
                _why_not_meant(layer, module, own, parameter, selection, layers)
                or _why_not_this_weight(module, own, parameter, memory)
                or weight_axes_of(module, parameter, pattern, own)
            )
            name = layer if own == "weight" else full_name(layer, own)
            yield Candidate(name, module, kind, shape, verdict, own)


def _why_not_meant(
    layer: str,
    module: nn.Module,
    own: str,
    parameter: torch.Tensor,
    selection: Selection,
    layers: Types,
) -> Skip | None:
    """Tell why a parameter is not meant, by what it is and by its name."""
    full = full_name(layer, own)
    names = (layer, full) if own == "weight" else (full, layer)
    if own == "weight" and isinstance(module, layers):
        return selection.skip(names, module)
    is_usual = is_conv1d(module) if own == "weight" else False
    is_usual = is_usual or is_stack_of_experts(layer, module, own, parameter)
    if is_usual and nn.Linear in layers:
        return selection.skip(names, module)
    if selection.singles_out(full):
        return selection.skip((full,), module)
    kind = parametrize.type_before_parametrizations(module).__name__
    return (SkipCode.OTHER_TYPE if own == "weight" else SkipCode.ONLY_BY_NAME)(kind=kind)


def _why_not_this_weight(
    module: nn.Module, own: str, weight: torch.Tensor, memory: SharedMemory
) -> Skip | None:
    masked = masked_parametrization(module, own)
    if masked is not None:
        return SkipCode.SPARSE_ALREADY_AT(pattern=masked.mask_pattern)
    if getattr(type(module), "tnm_masked_weight", False):
        return SkipCode.SPARSE_ALREADY()
    if parametrize.is_parametrized(module, own):
        return SkipCode.PARAMETRIZED()
    if isinstance(weight, UninitializedParameter):
        return SkipCode.NO_SHAPE_YET()
    if not isinstance(weight, nn.Parameter):
        return SkipCode.COMPUTED()
    sharing = memory.users_of(weight)
    if len(sharing) > 1:
        return SkipCode.SHARED(users=" and ".join(sharing))
    if is_sharded(weight):
        return SkipCode.SHARDED()
    if weight.is_meta:
        return SkipCode.NO_DATA()
    if not weight.is_floating_point():
        return SkipCode.NOT_FLOATING(dtype=weight.dtype)
    return SkipCode.OVERLAPS_ITSELF() if overlaps_itself(weight) else None


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
