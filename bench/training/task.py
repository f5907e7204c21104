"""What a task of the study is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Rates:
    """How a task is optimized: one rate for dense and sparse arms."""

    learning_rate: float
    weight_decay: float
    clip: float = 1.0
    warm_up: float = 0.1


class Task(Protocol):
    """A model with its data; all arms of a seed see the same batches in the same order."""

    measure_name: str
    steps: int
    rates: Rates

    def model(self, *, half: bool = False) -> nn.Module:
        """A fresh model, or one with about half of the parameters in its maskable layers."""

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """What the task is trained with."""

    def maskable(self, name: str, layer: nn.Module) -> bool:
        """Tell which layers an arm may prune."""

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """So many batches of inputs and targets."""

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What is minimised."""

    def measure(self, model: nn.Module, *, whole: bool) -> float:
        """What is reported, on held-out data: on all of it, or on a part that is quick."""
