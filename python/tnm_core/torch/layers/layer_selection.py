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
from tnm_core.torch.layers.model_parts import (
    check_can_change,
    full_name,
    matrices_of,
    unwrap,
    weight_of,
)
from tnm_core.torch.layers.model_weights import weight_rules
from tnm_core.torch.layers.parametrization import masked_parametrization
from tnm_core.torch.layers.shared_memory import SharedMemory, overlaps_itself
from tnm_core.torch.layers.weight_axes import (
    WeightAxes,
    is_conv1d,
    is_stack_of_experts,
    weight_axes_of,
)
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
    found = list(_Judge(model, pattern, selection, layers).candidates())
    for one in found:
        if one.skip is None:
            check_can_change(one.name, one.weight)
    return found


def _names(model: nn.Module) -> Iterator[str]:
    for layer, module in model.named_modules():
        yield layer
        yield from (full_name(layer, own) for own, _ in matrices_of(module))


class _Judge:
    """Says of every matrix of a model how it is read, or why it is left alone."""

    def __init__(
        self, model: nn.Module, pattern: Pattern, selection: Selection, layers: Types
    ) -> None:
        self._model, self._pattern = model, pattern
        self._selection, self._layers = selection, layers
        self._memory, self._rules = SharedMemory(model), weight_rules(model)

    def candidates(self) -> Iterator[Candidate]:
        """Judge every parameter of two axes or more, and every weight of layers that are meant."""
        for layer, module in self._model.named_modules():
            kind = parametrize.type_before_parametrizations(module).__name__
            matrices = dict(matrices_of(module))
            weight = weight_of(module)
            if weight is not None and isinstance(module, self._layers):
                matrices.setdefault("weight", weight)
            for own, matrix in matrices.items():
                shape = () if isinstance(matrix, UninitializedParameter) else tuple(matrix.shape)
                verdict = (
                    self._why_not_meant(layer, module, own, matrix)
                    or self._why_not_this_state(module, own, matrix)
                    or self._why_not_by_rules(layer, module, own, matrix)
                    or weight_axes_of(module, matrix, self._pattern, own)
                )
                name = layer if own == "weight" else full_name(layer, own)
                yield Candidate(name, module, kind, shape, verdict, own)

    def _why_not_meant(
        self, layer: str, module: nn.Module, own: str, matrix: torch.Tensor
    ) -> Skip | None:
        """Tell why a matrix is not meant, by the type of its layer and by name."""
        full = full_name(layer, own)
        if self._is_usual(layer, module, own, matrix):
            names = (layer, full) if own == "weight" else (full, layer)
            return self._selection.skip(names, module)
        if self._selection.singles_out(full):
            return self._selection.skip(full, module)
        kind = parametrize.type_before_parametrizations(module).__name__
        return (SkipCode.OTHER_TYPE if own == "weight" else SkipCode.ONLY_BY_NAME)(kind=kind)

    def _is_usual(self, layer: str, module: nn.Module, own: str, matrix: torch.Tensor) -> bool:
        """Tell whether a matrix need not be named to be meant."""
        if own == "weight" and isinstance(module, self._layers):
            return True
        if nn.Linear not in self._layers:
            return False
        if isinstance(module, nn.MultiheadAttention):
            return own.endswith("proj_weight")
        is_linear = own == "weight" and is_conv1d(module)
        return is_linear or is_stack_of_experts(layer, module, own, matrix)

    def _why_not_this_state(self, module: nn.Module, own: str, matrix: torch.Tensor) -> Skip | None:
        """Tell why a parameter cannot be masked as it is."""
        masked = masked_parametrization(module, own)
        if masked is not None:
            return SkipCode.SPARSE_ALREADY_AT(pattern=masked.mask_pattern)
        if getattr(type(module), "tnm_masked_weight", False):
            return SkipCode.SPARSE_ALREADY()
        if parametrize.is_parametrized(module, own):
            return SkipCode.PARAMETRIZED()
        if isinstance(matrix, UninitializedParameter):
            return SkipCode.NO_SHAPE_YET()
        if not isinstance(matrix, nn.Parameter):
            return SkipCode.COMPUTED()
        sharing = self._memory.users_of(matrix)
        if len(sharing) > 1:
            return SkipCode.SHARED(users=" and ".join(sharing))
        if is_sharded(matrix):
            return SkipCode.SHARDED()
        if matrix.is_meta:
            return SkipCode.NO_DATA()
        return SkipCode.OVERLAPS_ITSELF() if overlaps_itself(matrix) else None

    def _why_not_by_rules(
        self, layer: str, module: nn.Module, own: str, matrix: torch.Tensor
    ) -> Skip | None:
        """Tell why a parameter is no weight to prune; what it is counts unless it is asked for."""
        full = full_name(layer, own)
        quantized = self._rules.quantized(full)
        if quantized is not None:
            return quantized
        if not matrix.is_floating_point():
            return SkipCode.NOT_FLOATING(dtype=matrix.dtype)
        if matrix.itemsize < 2:
            return SkipCode.OTHER_DTYPE(dtype=str(matrix.dtype).removeprefix("torch."))
        skip = self._rules.skip(full) if self._selection.by_default else None
        # A module tells more of experts than names do.
        if skip == SkipCode.LOOSE() and is_stack_of_experts(layer, module, own, matrix):
            return None
        return skip
