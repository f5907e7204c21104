"""What a study needs of a model: the model, data to prune with, what it is worth."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

Batches = list[dict[str, torch.Tensor]]


class StudyModel(Protocol):
    """A model and its data. Workers get a copy of it."""

    head_size: int

    def model(self) -> nn.Module:
        """The dense model, fresh."""

    def calibration(self, seed: int, samples: int) -> Batches:
        """Data to prune with; batches are passed to the model as keyword arguments."""

    def measure(self, model: nn.Module, seed: int) -> dict[str, float]:
        """What the model is worth on other data, by name."""
