"""Layers of a model and their masks: which layers, how weights are read, what was done."""

from __future__ import annotations

from tnm_core.torch.layers.held_mask import checked_mask, is_changed, note_right
from tnm_core.torch.layers.layer_selection import Candidate, select_layers
from tnm_core.torch.layers.masked_weights import (
    HookRole,
    MaskedWeight,
    masked_weights,
    sparse_layers,
    warn_where_dense,
)
from tnm_core.torch.layers.model_masks import (
    apply_masks_,
    drop_masks_,
    load_masks_,
    masks,
    remove_sparsity_,
)
from tnm_core.torch.layers.model_parts import (
    check_can_change,
    check_not_distributed,
    full_name,
    has_hooks,
    matrices_of,
    replace_layer,
    unwrap,
)
from tnm_core.torch.layers.model_weights import left_by_default, weight_rules
from tnm_core.torch.layers.parametrization import Mode, masked_parametrization
from tnm_core.torch.layers.plain_state import dense_state_dict, mask_of_zeros, wants_plain_state
from tnm_core.torch.layers.registration import register_mask
from tnm_core.torch.layers.report import LayerReport, SparsifyReport
from tnm_core.torch.layers.scores import ScoreLike, score_sums, values_of
from tnm_core.torch.layers.shared_memory import SharedMemory
from tnm_core.torch.layers.sparsify import sparsify_
from tnm_core.torch.layers.weight_axes import WeightAxes, full_tiles_hold, weight_axes_of

__all__ = [
    "Candidate",
    "HookRole",
    "LayerReport",
    "MaskedWeight",
    "Mode",
    "ScoreLike",
    "SharedMemory",
    "SparsifyReport",
    "WeightAxes",
    "apply_masks_",
    "check_can_change",
    "check_not_distributed",
    "checked_mask",
    "dense_state_dict",
    "drop_masks_",
    "full_name",
    "full_tiles_hold",
    "has_hooks",
    "is_changed",
    "left_by_default",
    "load_masks_",
    "mask_of_zeros",
    "masked_parametrization",
    "masked_weights",
    "masks",
    "matrices_of",
    "note_right",
    "register_mask",
    "remove_sparsity_",
    "replace_layer",
    "score_sums",
    "select_layers",
    "sparse_layers",
    "sparsify_",
    "unwrap",
    "values_of",
    "wants_plain_state",
    "warn_where_dense",
    "weight_axes_of",
    "weight_rules",
]
