"""How masks come into a training: the recipes of `train_sparse_`, and what others propose."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.training.arms import Arm
from bench.training.task import Task
from tnm_core.torch import SRSTE, DynamicMask, SparseTraining, sparsify_, train_sparse_

EVERY, DECAY = 40, 2e-4


def begin(
    task: Task, arm: Arm, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int
) -> SparseTraining | DynamicMask:
    """Mask a model by an arm, and let the masks follow its optimizer."""
    options: dict[str, Any] = {"method": arm.method, "threads": 1}
    if arm.recipe == "every 40 + sr_ste":
        sparsify_(model, arm.pattern, include=task.maskable, **options)
        dynamic = DynamicMask(every=EVERY, **options).attach(model, optimizer)
        SRSTE(DECAY, form="gradient").attach(model, optimizer)
        return dynamic
    return train_sparse_(
        model, optimizer, arm.pattern, total_steps=steps, recipe=arm.recipe,  # type: ignore[arg-type]
        include=task.maskable, **options,
    )  # fmt: skip


def statistics_of(owner: SparseTraining | DynamicMask) -> list[Any]:
    """One record per layer and refresh."""
    return list(owner.statistics)
