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
from tnm_core.torch.layers.model_weights import weight_rules
from tnm_core.torch.layers.parametrization import masked_parametrization, parametrizations_of_weight
from tnm_core.torch.layers.weight_axes import WeightAxes, weight_axes_of
from tnm_core.torch.tensors import is_sharded
from tnm_core.weights import WeightRules


@dataclass(frozen=True)
class Candidate:
    """A layer with a weight matrix: how it is read, or why it is left alone."""

    name: str
    module: nn.Module
    kind: str
    shape: tuple[int, ...]
    verdict: WeightAxes | Skip

    @property
    def skip(self) -> Skip | None:
        """Why the layer is left alone; None if it is chosen."""
        return self.verdict if isinstance(self.verdict, Skip) else None

    @property
    def weight(self) -> torch.Tensor:
        """The weight of a layer that is chosen."""
        return cast(torch.Tensor, self.module.weight)


def select_layers(
    model: nn.Module, pattern: Pattern, selection: Selection, layers: tuple[type[nn.Module], ...]
) -> list[Candidate]:
    """Judge the layers of a model, and check the arguments that choose them."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    layers = layers if isinstance(layers, tuple) else (layers,)
    for layer in layers:
        if not (isinstance(layer, type) and issubclass(layer, nn.Module)):
            raise TypeError(
                f"layers holds {layer!r}, expected module classes, such as torch.nn.Linear"
            )
    model = unwrap(model)
    unmatched = selection.unmatched(name for name, _ in model.named_modules())
    if unmatched:
        raise ValueError(
            f"include {unmatched[0]!r} matches no layer, expected names such as those of "
            "model.named_modules()"
        )
    return list(_candidates(model, pattern.m, selection, layers))


def _candidates(
    model: nn.Module, m: int, selection: Selection, layers: tuple[type[nn.Module], ...]
) -> Iterator[Candidate]:
    """Judge every layer that has parameters of two axes or more."""
    users = users_of_parameters(model)
    rules = weight_rules(model)
    for name, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue
        kind = parametrize.type_before_parametrizations(module).__name__
        weight = _weight_of(module)
        if weight is None:
            yield from _without_weight(name, module, kind)
        elif _axes(weight) >= 2 or isinstance(module, layers):
            shape = () if isinstance(weight, UninitializedParameter) else tuple(weight.shape)
            meant = isinstance(module, layers)
            verdict = (
                (selection.skip(name, module) if meant else SkipCode.OTHER_TYPE(kind=kind))
                or _why_not_this_weight(module, weight, users)
                or _why_not_by_rules(_tensor_name(name), weight, rules, selection)
                or weight_axes_of(module, weight, m)
            )
            yield Candidate(name, module, kind, shape, verdict)


def _without_weight(name: str, module: nn.Module, kind: str) -> Iterator[Candidate]:
    """Name the matrices of a module that has none called weight."""
    skip = SkipCode.NOT_CALLED_WEIGHT(kind=kind)
    for own, parameter in module.named_parameters(recurse=False):
        if _axes(parameter) > 1:
            full = f"{name}.{own}".removeprefix(".")
            yield Candidate(full, module, kind, tuple(parameter.shape), skip)


def _why_not_this_weight(
    module: nn.Module, weight: torch.Tensor, users: dict[int, list[str]]
) -> Skip | None:
    masked = masked_parametrization(module)
    if masked is not None:
        return SkipCode.SPARSE_ALREADY_AT(pattern=masked.mask_pattern)
    if getattr(type(module), "tnm_masked_weight", False):
        return SkipCode.SPARSE_ALREADY()
    if parametrize.is_parametrized(module, "weight"):
        return SkipCode.PARAMETRIZED()
    if isinstance(weight, UninitializedParameter):
        return SkipCode.NO_SHAPE_YET()
    if not isinstance(weight, nn.Parameter):
        return SkipCode.COMPUTED()
    sharing = users[id(weight)]
    if len(sharing) > 1:
        return SkipCode.SHARED(users=" and ".join(sharing))
    if is_sharded(weight):
        return SkipCode.SHARDED()
    if weight.is_meta:
        return SkipCode.NO_DATA()
    return None


def _why_not_by_rules(
    tensor: str, weight: torch.Tensor, rules: WeightRules, selection: Selection
) -> Skip | None:
    """Tell why a parameter is no weight to prune; what it is counts unless it is asked for."""
    quantized = rules.quantized(tensor)
    if quantized is not None:
        return quantized
    if not weight.is_floating_point():
        return SkipCode.NOT_FLOATING(dtype=weight.dtype)
    if weight.itemsize < 2:
        return SkipCode.OTHER_DTYPE(dtype=str(weight.dtype).removeprefix("torch."))
    return rules.skip(tensor) if selection.by_default else None


def _weight_of(module: nn.Module) -> torch.Tensor | None:
    chain = parametrizations_of_weight(module)
    if chain is not None and chain.is_tensor:
        return chain.original
    if isinstance(module, (nn.ParameterList, nn.ParameterDict)):
        return None
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, torch.Tensor) else None


def _tensor_name(layer: str) -> str:
    return f"{layer}.weight".removeprefix(".")


def _axes(parameter: torch.Tensor) -> int:
    return 2 if isinstance(parameter, UninitializedParameter) else parameter.ndim


def users_of_parameters(model: nn.Module) -> dict[int, list[str]]:
    """List under which names the modules of a model have each parameter, by its `id`."""
    users: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            users.setdefault(id(parameter), []).append(f"{name}.{own}".removeprefix("."))
    return users
