"""The 8 x 8 digits of scikit-learn and how to train on them; the other examples import this."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

Split = tuple[torch.Tensor, torch.Tensor]


def load() -> tuple[Split, Split]:
    """Return 1,347 images (8 x 8, values 0 to 1) with labels to train on, and 450 to test on."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        torch.tensor(images / 16, dtype=torch.float32),
        torch.tensor(labels),
        test_size=450,
        random_state=0,
        stratify=labels,
    )
    return (parts[0], parts[2]), (parts[1], parts[3])


def perceptron(hidden: int = 32) -> nn.Sequential:
    """64 -> hidden -> hidden -> 10; `sparsify_(..., exclude="4")` leaves the classifier dense."""
    return nn.Sequential(
        nn.Linear(64, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


def batches(split: Split, size: int, seed: int) -> Iterator[Split]:
    """Cut shuffled images and labels in whole batches."""
    images, labels = split
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    for start in range(0, len(images) - size + 1, size):
        here = order[start : start + size]
        yield images[here], labels[here]


def steps_per_epoch(split: Split, size: int) -> int:
    """How many batches `batches` yields."""
    return len(split[0]) // size


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, split: Split, epochs: int, size: int = 64
) -> None:
    """Minimise the cross-entropy, with a learning rate that falls along a cosine to zero."""
    total = max(epochs * steps_per_epoch(split, size), 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step / total, 1)))
    )
    model.train()
    for epoch in range(epochs):
        for images, labels in batches(split, size, seed=epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(model: nn.Module, split: Split) -> float:
    """Share of images whose most likely label is right."""
    model.eval()
    return float((model(split[0]).argmax(1) == split[1]).float().mean())
