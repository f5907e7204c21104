"""What commands on checkpoints share: which tensors, how they are read, masks, reports."""

from __future__ import annotations

from tnm_core.cli.pruning.contents import Contents, contents_of
from tnm_core.cli.pruning.layer_mask import Settings, apply_mask, find_mask
from tnm_core.cli.pruning.matrix_axes import (
    MatrixAxes,
    group_slice,
    matrices,
    matrix_shape,
    row_panels,
)
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor, total_of
from tnm_core.cli.pruning.retained_table import print_pruned
from tnm_core.cli.pruning.selection import (
    DEFAULT_EXCLUDE,
    SelectedTensors,
    TensorRules,
    ThreeD,
    axes_of_rank,
    select,
)

__all__ = [
    "DEFAULT_EXCLUDE",
    "Contents",
    "MatrixAxes",
    "PrunedTensor",
    "SelectedTensors",
    "Settings",
    "TensorRules",
    "ThreeD",
    "apply_mask",
    "axes_of_rank",
    "contents_of",
    "find_mask",
    "group_slice",
    "matrices",
    "matrix_shape",
    "print_pruned",
    "row_panels",
    "select",
    "total_of",
]
