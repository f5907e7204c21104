"""The weight of a layer that is to be packed, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.layers import masked_parametrization
from tnm_core.torch.linear.kinds import Kind, kind_of, sides_of
from tnm_core.torch.linear.mask_checks import check_mask_shape, optimal_mask, skip_without_tile
from tnm_core.torch.linear.masked_layer import MaskedLayer
from tnm_core.torch.linear.packed_buffers import DTYPES
from tnm_core.torch.linear.weight_layout import Layout, as_matrix
from tnm_core.torch.tensors import is_sharded


@dataclass(frozen=True)
class DenseWeight:
    """A weight, and where its mask comes from: given, of a pattern, or else of its zeros.

    Attributes
    ----------
    kind : Kind
        How the layer multiplies by it.
    weight : Tensor
        As it is stored.
    given : Tensor of bool or None
        The mask, in its shape.
    pattern : Pattern or None
        What the mask has to obey that is to be found.
    """

    kind: Kind
    weight: torch.Tensor
    given: torch.Tensor | None
    pattern: Pattern | None

    @property
    def layout(self) -> Layout:
        """How the weight is read as a matrix."""
        return "in_out" if self.kind is Kind.CONV1D else "out_in"

    @property
    def matrix(self) -> torch.Tensor:
        """The weight as a matrix (out, in)."""
        return as_matrix(self.weight, self.layout)

    @property
    def sides(self) -> tuple[int, int]:
        """How many outputs and inputs there are."""
        rows, columns = self.matrix.shape
        return rows, columns

    @property
    def is_to_be_pruned(self) -> bool:
        """Whether packing drops what is not zero yet."""
        return self.given is None and self.pattern is not None

    @property
    def density(self) -> float:
        """The share of entries that are kept; nothing is searched for."""
        entries = max(1, self.weight.numel())
        if self.given is not None:
            return int(self.given.sum()) / entries
        if self.pattern is not None:
            return self.pattern.n / self.pattern.m
        return int(self.weight.count_nonzero()) / entries

    def mask(self) -> torch.Tensor:
        """Return what is kept of the matrix."""
        if self.given is not None:
            return as_matrix(self.given, self.layout)
        if self.pattern is None:
            return self.matrix != 0
        return optimal_mask(self.matrix, self.pattern)


def dense_weight_of(
    name: str,
    layer: nn.Module,
    pattern: Pattern | None,
    mask: torch.Tensor | None,
    dtype: torch.dtype | None,
) -> DenseWeight | Skip:
    """Look at the weight of a layer, of which products shall be in `dtype`, or say why not to."""
    weight, own = _weight_and_mask(layer)
    if weight is None:
        return SkipCode.PARAMETRIZED_LAYER()
    reason = _why_not(weight, dtype)
    if reason is not None:
        return reason
    if mask is not None:
        check_mask_shape(mask, tuple(weight.shape), name)
    found = own if mask is None else mask.cpu()
    if found is None and pattern is not None:
        skip = skip_without_tile(sides_of(layer), pattern.m)
        if skip is not None:
            return skip
        if not bool(weight.isfinite().all()):
            raise ValueError(f"{name}: no mask for its weight, expected finite values")
    return DenseWeight(cast(Kind, kind_of(layer)), weight, found, pattern)


def _weight_and_mask(layer: nn.Module) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return the dense weight, None if something else computes it, and its mask if it has one."""
    if not parametrize.is_parametrized(layer):
        own = layer.mask if isinstance(layer, MaskedLayer) else None
        return cast(torch.Tensor, layer.weight).detach(), own
    masked = masked_parametrization(layer)
    chains = cast(nn.ModuleDict, layer.parametrizations)
    if masked is None or set(chains) != {"weight"}:
        return None, None
    chain = cast(parametrize.ParametrizationList, chains["weight"])
    if len(chain) > 1 or masked.mode == "fading":
        return None, None
    return chain.original.detach(), None if masked.mode == "dense" else masked.mask


def _why_not(weight: torch.Tensor, dtype: torch.dtype | None) -> Skip | None:
    if weight.is_meta:
        return SkipCode.NO_DATA()
    if not weight.is_floating_point():
        return SkipCode.NOT_FLOATING(dtype=weight.dtype)
    if is_sharded(weight) or weight.device.type != "cpu":
        place = "sharded" if is_sharded(weight) else f"on {weight.device}"
        return SkipCode.BACKEND_CANNOT(
            reason=f"its weight is {place}, expected a whole one on the CPU"
        )
    if (dtype or weight.dtype) not in DTYPES.values():
        return SkipCode.BACKEND_CANNOT(
            reason=f"its weight is {weight.dtype}, expected float32, bfloat16 or float16: give "
            "compute_dtype=torch.float32"
        )
    return None
