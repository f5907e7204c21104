"""What training with masks means, written out for two layers without any of the library's parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tnm_core as tnm
from tests.support import references
from tnm_core.pattern import as_pattern

Mode = Callable[[int], tuple[str, float]]


def batch(step: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1000 + step)
    return torch.randn(8, 16, generator=generator, dtype=dtype)


def loss_of(output: torch.Tensor) -> torch.Tensor:
    return (output - 1).square().mean()


class NaiveTraining:
    """SGD on the mean square of a two-layer perceptron whose weights are masked."""

    def __init__(self, model: Any, pattern: str, lr: float) -> None:
        self.weights = [model[i].weight.detach().clone() for i in (0, 2)]
        self.biases = [model[i].bias.detach().clone() for i in (0, 2)]
        self.pattern, self.lr = pattern, lr
        self.masks = [self.find(weight) for weight in self.weights]

    def find(self, weight: torch.Tensor) -> torch.Tensor:
        pattern = as_pattern(self.pattern)
        if pattern.transposable:
            return torch.from_numpy(tnm.transposable_mask(weight.numpy(), pattern.n, pattern.m))
        magnitude = abs(weight.numpy())
        return torch.from_numpy(references.nm_mask(magnitude, pattern.n, pattern.m, -1))

    def refresh(self) -> list[int]:
        """How many entries of each mask have changed."""
        old, self.masks = self.masks, [self.find(weight) for weight in self.weights]
        return [int(np.sum(a.numpy() != b.numpy())) for a, b in zip(old, self.masks, strict=True)]

    def step(
        self,
        inputs: torch.Tensor,
        *,
        leak: float = 0.0,
        straight_through: bool = True,
        decay: float = 0.0,
        decoupled: float = 0.0,
    ) -> None:
        shares = [torch.where(mask, 1.0, leak).to(inputs.dtype) for mask in self.masks]
        used = [w * share for w, share in zip(self.weights, shares, strict=True)]
        leaves = [one.clone().requires_grad_() for one in (*used, *self.biases)]
        hidden = torch.relu(inputs @ leaves[0].T + leaves[2])
        gradients = torch.autograd.grad(loss_of(hidden @ leaves[1].T + leaves[3]), leaves)
        for i, mask in enumerate(self.masks):
            passed = 1.0 if straight_through else torch.where(mask, 1.0, leak).to(inputs.dtype)
            gradient = gradients[i] * passed
            pruned = ~mask * self.weights[i]
            gradient = gradient + decay * pruned
            self.weights[i] = self.weights[i] - self.lr * (gradient + decoupled * pruned)
            self.biases[i] = self.biases[i] - self.lr * gradients[2 + i]
