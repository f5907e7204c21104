"""Masks of tensors of any dtype and device."""

from __future__ import annotations

from tnm_core.torch.tensors.changes import CountedSteps, Snapshot, counted_steps, version_of
from tnm_core.torch.tensors.cuda_graphs import is_capturing
from tnm_core.torch.tensors.masked_values import drop, fade, keep, keep_
from tnm_core.torch.tensors.optimizers import (
    check_followable,
    unwrap_optimizer,
    when_gradients_are_there,
)
from tnm_core.torch.tensors.shards import (
    check_cuts_between_tiles,
    is_sharded,
    local_mask,
    local_values,
    mask_like,
    sum_over_shards,
)
from tnm_core.torch.tensors.tensor_masks import (
    finite_transposable_mask,
    nm_mask,
    transposable_mask,
)
from tnm_core.torch.tensors.transfer import are_finite
from tnm_core.torch.tensors.unstructured import kept_of_m, least_disturbing_mask

__all__ = [
    "CountedSteps",
    "Snapshot",
    "are_finite",
    "check_cuts_between_tiles",
    "check_followable",
    "counted_steps",
    "drop",
    "fade",
    "finite_transposable_mask",
    "is_capturing",
    "is_sharded",
    "keep",
    "keep_",
    "kept_of_m",
    "least_disturbing_mask",
    "local_mask",
    "local_values",
    "mask_like",
    "nm_mask",
    "sum_over_shards",
    "transposable_mask",
    "unwrap_optimizer",
    "version_of",
    "when_gradients_are_there",
]
