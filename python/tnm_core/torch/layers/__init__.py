"""Layers of a model and their masks: which layers, how weights are read, what was done."""

from __future__ import annotations

from tnm_core.torch.layers.candidates import Candidate, Names
from tnm_core.torch.layers.masked_weights import MaskedWeight, masked_weights, unwrap
from tnm_core.torch.layers.model_masks import (
    apply_masks_,
    load_masks,
    masks,
    remove_sparsity_,
    zero_pruned,
)
from tnm_core.torch.layers.parametrization import Mode, masked_parametrization, register_mask
from tnm_core.torch.layers.pattern import Pattern, parse_pattern
from tnm_core.torch.layers.report import LayerReport, SparsifyReport, aligned
from tnm_core.torch.layers.sparsify import select_layers, sparsify_
from tnm_core.torch.layers.weight_axes import Layout, ScoreLike, layout_of, score_sums, values_of

__all__ = [
    "Candidate",
    "LayerReport",
    "Layout",
    "MaskedWeight",
    "Mode",
    "Names",
    "Pattern",
    "ScoreLike",
    "SparsifyReport",
    "aligned",
    "apply_masks_",
    "layout_of",
    "load_masks",
    "masked_parametrization",
    "masked_weights",
    "masks",
    "parse_pattern",
    "register_mask",
    "remove_sparsity_",
    "score_sums",
    "select_layers",
    "sparsify_",
    "unwrap",
    "values_of",
    "zero_pruned",
]
