"""Batch normalisation after pruning: statistics, and folding into the layer before."""

from __future__ import annotations

from tnm_core.torch.calibrate.batch_norm.correct import BatchNormCorrection, correct_batch_norm_
from tnm_core.torch.calibrate.batch_norm.fold import FoldReport, fold_batch_norm_
from tnm_core.torch.calibrate.batch_norm.reestimate import BatchNormReport, reestimate_batch_norm_

__all__ = [
    "BatchNormCorrection",
    "BatchNormReport",
    "FoldReport",
    "correct_batch_norm_",
    "fold_batch_norm_",
    "reestimate_batch_norm_",
]
