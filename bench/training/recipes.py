"""How masks come into a training: the recipes of `train_sparse_`, and what others propose."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from bench.training.arms import ENDS_DENSE, Arm
from bench.training.task import Task
from tnm_core.torch import (
    SRSTE,
    DynamicMask,
    MaskStatistics,
    SparseTraining,
    sparsify_,
    train_sparse_,
)

DECAY = 2e-4
TEACHER = " + teacher"
DENSE_FROM = 0.8
# Masks found anew every so many steps from the first one on, with straight-through gradients; with
# decay in the gradient, as the paper has it, or without.
EVERY = re.compile(r"every (\d+)( \+ sr_ste)?")


def begin(
    task: Task, arm: Arm, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int
) -> SparseTraining | DynamicMask:
    """Mask a model by an arm, and let the masks follow its optimizer."""
    options: dict[str, Any] = {"method": arm.method, "threads": 1}
    told = EVERY.fullmatch(arm.recipe)
    if told is not None:
        sparsify_(model, arm.pattern, include=task.maskable, **options)
        dynamic = DynamicMask(every=int(told[1]), **options).attach(model, optimizer)
        if told[2]:
            SRSTE(DECAY, form="gradient").attach(model, optimizer)
        return dynamic
    recipe: Any = arm.recipe.removesuffix(TEACHER)
    if arm.recipe == ENDS_DENSE:
        recipe, options["dense_from"] = "fading", round(DENSE_FROM * steps)
    return train_sparse_(
        model, optimizer, arm.pattern, total_steps=steps, recipe=recipe, include=task.maskable,
        **options,
    )  # fmt: skip


def statistics_of(owner: SparseTraining | DynamicMask) -> list[MaskStatistics]:
    """One record per layer and refresh."""
    return list(owner.statistics)
