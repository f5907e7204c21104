"""What is trained: a block of two linear layers, and a transformer encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn


class EncoderBlock(nn.Module):
    """Attention and a block of two layers, normalised ahead, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.mlp = _mlp(width)

    def forward(self, x: torch.Tensor) -> Any:
        normal = self.before_attention(x)
        query, key, value = (
            self._by_head(layer(normal)) for layer in (self.query, self.key, self.value)
        )
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.output(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.before_mlp(x))

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def _encoder(width: int, layers: int, heads: int) -> nn.Sequential:
    return nn.Sequential(*(EncoderBlock(width, heads) for _ in range(layers)))


@dataclass(frozen=True)
class TrainedModel:
    """How to build it, what trains it, and the inputs: sequences of so many tokens."""

    build: Callable[[], nn.Module]
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    optimizer_name: str
    width: int
    length: int

    def draw(self, tokens: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        shape = (tokens // self.length, self.length, self.width)
        return torch.randn(shape, generator=generator)


def mlp(width: int) -> TrainedModel:
    sgd = partial(torch.optim.SGD, lr=1e-3, momentum=0.9)
    return TrainedModel(partial(_mlp, width), sgd, "SGD with momentum", width, 1)


def encoder(width: int, layers: int, heads: int, length: int) -> TrainedModel:
    adamw = partial(torch.optim.AdamW, lr=1e-5)
    build = partial(_encoder, width, layers, heads)
    return TrainedModel(build, adamw, "AdamW", width, length)


MODELS = {
    "MLP 1024, 4096, 1024": mlp(1024),
    "4-layer transformer, width 512": encoder(512, 4, 8, 128),
}
