"""What commands on checkpoints share: which tensors, how they are read, masks, reports."""

from __future__ import annotations

from tnm_core.cli.pruning.contents import Contents, contents_of
from tnm_core.cli.pruning.layer_mask import Method, Score, Settings, apply_mask, find_mask
from tnm_core.cli.pruning.layout import Layout, group_slice, matrices, matrix_shape, row_panels
from tnm_core.cli.pruning.report import RETAINED_KINDS, LayerReport, total_of
from tnm_core.cli.pruning.selection import DEFAULT_EXCLUDE, Rules, Selection, ThreeD, select

__all__ = [
    "DEFAULT_EXCLUDE",
    "RETAINED_KINDS",
    "Contents",
    "LayerReport",
    "Layout",
    "Method",
    "Rules",
    "Score",
    "Selection",
    "Settings",
    "ThreeD",
    "apply_mask",
    "contents_of",
    "find_mask",
    "group_slice",
    "matrices",
    "matrix_shape",
    "row_panels",
    "select",
    "total_of",
]
