"""Pruning a whole model after training."""

from __future__ import annotations

from tnm_core.torch.calibrate.model.journal import Journal, PruneStep
from tnm_core.torch.calibrate.model.prune import prune_model_
from tnm_core.torch.calibrate.model.prune_report import (
    Distillation,
    DistillStep,
    PrunedLayer,
    PruneReport,
    TunedBlock,
    announcer,
)

__all__ = [
    "DistillStep",
    "Distillation",
    "Journal",
    "PruneReport",
    "PruneStep",
    "PrunedLayer",
    "TunedBlock",
    "announcer",
    "prune_model_",
]
