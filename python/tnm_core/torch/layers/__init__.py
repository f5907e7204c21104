"""Layers of a model and their masks: which layers, how weights are read, what was done."""

from __future__ import annotations

from tnm_core.torch.layers.layer_selection import Candidate, select_layers
from tnm_core.torch.layers.masked_weights import MaskedWeight, sparse_layers, unwrap
from tnm_core.torch.layers.matrices import full_name, matrices_of
from tnm_core.torch.layers.model_masks import apply_masks_, load_masks_, masks, remove_sparsity_
from tnm_core.torch.layers.model_weights import left_by_default, weight_rules
from tnm_core.torch.layers.parametrization import Mode, masked_parametrization
from tnm_core.torch.layers.registration import register_mask
from tnm_core.torch.layers.report import LayerReport, SparsifyReport
from tnm_core.torch.layers.scores import ScoreLike, score_sums, values_of
from tnm_core.torch.layers.shared_memory import SharedMemory
from tnm_core.torch.layers.sparsify import sparsify_
from tnm_core.torch.layers.weight_axes import WeightAxes, weight_axes_of

__all__ = [
    "Candidate",
    "LayerReport",
    "MaskedWeight",
    "Mode",
    "ScoreLike",
    "SharedMemory",
    "SparsifyReport",
    "WeightAxes",
    "apply_masks_",
    "full_name",
    "left_by_default",
    "load_masks_",
    "masked_parametrization",
    "masks",
    "matrices_of",
    "register_mask",
    "remove_sparsity_",
    "score_sums",
    "select_layers",
    "sparse_layers",
    "sparsify_",
    "unwrap",
    "values_of",
    "weight_axes_of",
    "weight_rules",
]
