"""What commands on checkpoints share: which tensors, how they are read, masks, reports."""

from __future__ import annotations

from tnm_core.cli.pruning.as_function import prune_checkpoint
from tnm_core.cli.pruning.bands import KeptTasks, keeping
from tnm_core.cli.pruning.contents import Contents
from tnm_core.cli.pruning.job import PruneJob, is_folder_job, weight_targets
from tnm_core.cli.pruning.layer_mask import Settings
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, ThreeD, row_panels
from tnm_core.cli.pruning.memory import check_memory
from tnm_core.cli.pruning.prepared_job import PruneRequest
from tnm_core.cli.pruning.prune_report import drawable, read_report
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor
from tnm_core.cli.pruning.quantization import quantization_notes
from tnm_core.cli.pruning.retained_table import print_pruned
from tnm_core.cli.pruning.selection import (
    SelectedTensors,
    TensorRules,
    axes_to_tell,
    weight_rules,
)

__all__ = [
    "Contents",
    "KeptTasks",
    "MatrixAxes",
    "PruneJob",
    "PruneRequest",
    "PrunedTensor",
    "SelectedTensors",
    "Settings",
    "TensorRules",
    "ThreeD",
    "axes_to_tell",
    "check_memory",
    "drawable",
    "is_folder_job",
    "keeping",
    "print_pruned",
    "prune_checkpoint",
    "quantization_notes",
    "read_report",
    "row_panels",
    "weight_rules",
    "weight_targets",
]
