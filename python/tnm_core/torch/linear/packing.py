"""Packed forms of a masked weight: what each back end multiplies by."""

from __future__ import annotations

from typing import NamedTuple

import torch

import tnm_core as tnm
from tnm_core.pattern import Pattern


class Packed(NamedTuple):
    """One orientation of a weight; what a back end does not use is empty.

    Attributes
    ----------
    values : Tensor, shape (rows, any)
        The kept values; cuSPARSELt keeps their positions in the same tensor.
    indices : Tensor of uint8, shape (rows, any)
        Positions of the values in their groups of m.
    """

    values: torch.Tensor
    indices: torch.Tensor


# A weight packed for products with it and with its transpose.
PackedPair = tuple[Packed, Packed]


def nothing_packed(like: torch.Tensor, dtype: torch.dtype) -> PackedPair:
    """Return empty tensors, for a back end that multiplies by the weight itself."""
    values = like.new_empty((0, 0), dtype=dtype)
    indices = like.new_empty((0, 0), dtype=torch.uint8)
    return Packed(values, indices), Packed(values.clone(), indices.clone())


def compress(weight: torch.Tensor, mask: torch.Tensor, pattern: Pattern, *, axis: int) -> Packed:
    """Gather values and positions along one axis, as `tnm_core.compress` defines them.

    Axis -1 packs the weight, -2 its transpose. Work is done in host memory, and the result lies on
    the weight's device. ``ValueError`` if a group keeps more than n.
    """
    # A copy: tensors that NumPy has seen cannot be resized, and FSDP resizes its weights.
    host = weight.detach().to("cpu", copy=True)
    # NumPy has no bfloat16; packing only moves elements, so any type of that size will do.
    array = (host.view(torch.uint16) if host.itemsize == 2 else host).numpy()
    packed = tnm.compress(array, mask.detach().cpu().numpy(), pattern.n, pattern.m, axis=axis)
    values = torch.from_numpy(packed.values).view(host.dtype)
    return Packed(values.to(weight.device), torch.from_numpy(packed.indices).to(weight.device))
