"""Which layers multiply by one matrix, and why others do not."""

from __future__ import annotations

import sys
from enum import Enum
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.layers import full_name, has_hooks, matrices_of
from tnm_core.torch.linear.masked_layer import MaskedLayer


class Kind(Enum):
    """How a layer multiplies by its matrix."""

    LINEAR = "Linear"
    CONV1D = "Conv1D"  # of transformers: the weight is (in, out)
    POINTWISE = "pointwise convolution"


def kind_of(layer: nn.Module) -> Kind | Skip | None:
    """Tell how a layer multiplies by its weight, or why not by one matrix; None without weight.

    Speaks of the layer as it was before parametrisations.
    """
    made = parametrize.type_before_parametrizations(layer)
    if issubclass(made, MaskedLayer):
        return Kind.CONV1D if made.layout == "in_out" else _kind_by_base(made)
    if getattr(made, "tnm_packed_weight", False):
        return SkipCode.SPARSE_ALREADY()
    if made is nn.Linear:
        return Kind.LINEAR
    if made is _conv1d_of_transformers():
        return Kind.CONV1D
    if made in (nn.Conv1d, nn.Conv2d):
        return _kind_of_convolution(layer)
    if issubclass(made, nn.Linear):
        return SkipCode.OWN_FORWARD(kind=made.__name__)
    has_matrix = any(own == "weight" for own, _ in matrices_of(layer))
    return SkipCode.NO_MATRIX_PRODUCT(kind=made.__name__) if has_matrix else None


def matrix_layers(model: nn.Module) -> tuple[dict[str, nn.Module], dict[str, Skip]]:
    """List the layers that multiply by one matrix, under each of their names, and all others.

    The others are layers and parameters with a matrix, each with the reason why it stays dense.
    """
    layers: dict[str, nn.Module] = {}
    skips: dict[str, Skip] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, parametrize.ParametrizationList):
            continue
        kind = kind_of(module)
        if isinstance(kind, Kind):
            layers[name] = module
        elif kind is not None:
            skips[name] = kind
        skips.update(_other_matrices(name, module))
    return layers, skips


def sides_of(layer: nn.Module) -> tuple[int, int]:
    """Tell how many outputs and inputs a layer has."""
    first, second = cast(torch.Tensor, layer.weight).shape[:2]
    return (second, first) if kind_of(layer) is Kind.CONV1D else (first, second)


def skip_of_place(model: nn.Module, name: str, layer: nn.Module) -> Skip | None:
    """Tell why nothing can stand in the place of a layer in its model."""
    if not name:
        return SkipCode.WHOLE_MODEL()
    if name.rpartition(".")[2] == "_orig_mod":
        return SkipCode.COMPILED()
    if has_hooks(layer):
        return SkipCode.HAS_HOOKS()
    parent = model.get_submodule(name.rpartition(".")[0])
    if isinstance(parent, nn.TransformerEncoderLayer) and torch.backends.mha.get_fastpath_enabled():
        return SkipCode.ENCODER_FAST_PATH()
    return None


def _other_matrices(name: str, module: nn.Module) -> dict[str, Skip]:
    """Name the matrices of a module that are not its weight."""
    if getattr(type(module), "tnm_packed_weight", False):
        return {}
    kind = parametrize.type_before_parametrizations(module).__name__
    skip = SkipCode.NOT_CALLED_WEIGHT(kind=kind)
    return {full_name(name, own): skip for own, _ in matrices_of(module) if own != "weight"}


def _kind_by_base(made: type[nn.Module]) -> Kind:
    return Kind.LINEAR if issubclass(made, nn.Linear) else Kind.POINTWISE


def _kind_of_convolution(layer: nn.Module) -> Kind | Skip:
    """Take convolutions that multiply every position by the same matrix."""
    kernel, groups, padding = layer.kernel_size, layer.groups, layer.padding
    pads = padding not in ("valid", "same") and any(padding)  # type: ignore[arg-type]
    if any(size != 1 for size in kernel) or groups != 1 or pads:  # type: ignore[union-attr]
        size = " x ".join(map(str, kernel))  # type: ignore[arg-type]
        return SkipCode.NOT_POINTWISE(kernel=size, groups=groups, padding=padding)
    return Kind.POINTWISE


def _conv1d_of_transformers() -> type[nn.Module] | None:
    module = sys.modules.get("transformers.pytorch_utils")
    return None if module is None else module.Conv1D
