"""Post-training pruning with calibration data: statistics, masks, reconstruction, recipes."""

from __future__ import annotations

from tnm_core.torch.calibrate.batch_norm import (
    BatchNormCorrection,
    BatchNormReport,
    FoldReport,
    correct_batch_norm_,
    fold_batch_norm_,
    reestimate_batch_norm_,
)
from tnm_core.torch.calibrate.data import Moments, Statistics, collect_statistics
from tnm_core.torch.calibrate.model import (
    Distillation,
    DistillStep,
    Journal,
    PrunedLayer,
    PruneReport,
    PruneStep,
    TunedBlock,
    prune_model_,
)
from tnm_core.torch.calibrate.permute import (
    FreeDimension,
    Permutation,
    find_free_dimensions,
    permute_,
)
from tnm_core.torch.calibrate.solvers import RECIPES, RankDeficientWarning, Recipe

__all__ = [
    "RECIPES",
    "BatchNormCorrection",
    "BatchNormReport",
    "DistillStep",
    "Distillation",
    "FoldReport",
    "FreeDimension",
    "Journal",
    "Moments",
    "Permutation",
    "PruneReport",
    "PruneStep",
    "PrunedLayer",
    "RankDeficientWarning",
    "Recipe",
    "Statistics",
    "TunedBlock",
    "collect_statistics",
    "correct_batch_norm_",
    "find_free_dimensions",
    "fold_batch_norm_",
    "permute_",
    "prune_model_",
    "reestimate_batch_norm_",
]
