"""Distillation: a sparse model learns what a trained dense one expects, too."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from bench.training.task import Batch, Task

SHARE = 0.7


class Taught:
    """A task whose loss is for the larger part how far a model is from its teacher."""

    def __init__(self, task: Task, teacher: nn.Module) -> None:
        self._task, self._teacher = task, teacher
        self.measure_name, self.steps, self.rates = task.measure_name, task.steps, task.rates

    def model(self, *, half: bool = False) -> nn.Module:
        """As the task."""
        return self._task.model(half=half)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """As the task."""
        return self._task.optimizer(model)

    def maskable(self, name: str, layer: nn.Module) -> bool:
        """As the task."""
        return self._task.maskable(name, layer)

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """As the task."""
        return self._task.batches(seed, steps)

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Divergence from the teacher's distribution, and cross-entropy (Hinton et al., 2015)."""
        inputs, targets = batch
        found = model(inputs).flatten(0, -2)
        expected = self._teacher(inputs).flatten(0, -2)
        divergence = functional.kl_div(
            found.log_softmax(-1), expected.log_softmax(-1), log_target=True, reduction="batchmean"
        )
        right = functional.cross_entropy(found, targets.flatten())
        return SHARE * divergence + (1 - SHARE) * right

    def measure(self, model: nn.Module, *, whole: bool) -> float:
        """As the task."""
        return self._task.measure(model, whole=whole)
