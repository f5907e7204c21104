"""Masks of tensors of any dtype and device."""

from __future__ import annotations

from tnm_core.torch.tensors.host import array_of
from tnm_core.torch.tensors.shards import (
    gather_mask,
    is_sharded,
    local_mask,
    local_values,
    mask_like,
    require_cuts_between_tiles,
    sum_over_shards,
)
from tnm_core.torch.tensors.tensor_masks import transposable_mask

__all__ = [
    "array_of",
    "gather_mask",
    "is_sharded",
    "local_mask",
    "local_values",
    "mask_like",
    "require_cuts_between_tiles",
    "sum_over_shards",
    "transposable_mask",
]
