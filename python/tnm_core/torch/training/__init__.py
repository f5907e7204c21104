"""Masks while a model trains."""

from __future__ import annotations

from tnm_core.torch.training.dynamic_mask import DynamicMask
from tnm_core.torch.training.mask_statistics import MaskStatistics
from tnm_core.torch.training.schedule import cubic_schedule
from tnm_core.torch.training.sparse_training import SparseTraining, train_sparse_
from tnm_core.torch.training.sr_ste import SRSTE
from tnm_core.torch.training.static_mask import StaticMask

__all__ = [
    "SRSTE",
    "DynamicMask",
    "MaskStatistics",
    "SparseTraining",
    "StaticMask",
    "cubic_schedule",
    "train_sparse_",
]
