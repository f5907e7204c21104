"""Small models for the tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Mixed(nn.Module):
    """Every kind of layer that `sparsify_` takes, and those that it leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3)
        self.conv = nn.Conv2d(16, 8, 3)
        self.grouped = nn.Conv2d(8, 12, 2, groups=2)
        self.depthwise = nn.Conv2d(12, 12, 2, groups=12)
        self.norm = nn.BatchNorm2d(12)
        self.up = nn.ConvTranspose2d(12, 8, 2, groups=2)
        self.embedding = nn.Embedding(10, 8)
        self.hidden = nn.Linear(8, 20)
        self.narrow = nn.Linear(20, 3)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, images: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        pooled = self.up(self.norm(self.depthwise(self.grouped(self.conv(self.stem(images))))))
        tokens = self.embedding(words) + pooled.mean((-1, -2))[:, None]
        attended, _ = self.attention(tokens, tokens, tokens)
        return self.head(attended).sum((1, 2)) + self.narrow(self.hidden(attended)).sum((1, 2))


def mixed_input() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 3, 10, 10), torch.randint(0, 10, (2, 5))


class ResidualBlock(nn.Module):
    """Two layers on a residual stream, then a normalisation."""

    WIDTH = 16

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(self.WIDTH, 2 * self.WIDTH)
        self.down = nn.Linear(2 * self.WIDTH, self.WIDTH)
        self.norm = nn.LayerNorm(self.WIDTH)

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        return self.norm(stream + self.down(torch.tanh(self.up(stream))))


class TokenStack(nn.Module):
    """An embedding, a chain of two blocks, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, ResidualBlock.WIDTH)
        self.blocks = nn.ModuleList(ResidualBlock() for _ in range(2))
        self.head = nn.Linear(ResidualBlock.WIDTH, 4)

    def forward(self, tokens: torch.Tensor, attention_mask: Any = None) -> torch.Tensor:
        stream = self.embedding(tokens)
        for block in self.blocks:
            stream = block(stream)
        return self.head(stream)


def token_stack() -> TokenStack:
    """Always the same one, with normalisations that are not all ones and zeros."""
    torch.manual_seed(0)
    model = TokenStack().double()
    with torch.no_grad():
        for name, one in model.named_parameters():
            if "norm" in name:
                one.add_(0.2 * torch.randn_like(one))
    return model


def perceptron(seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Two layers: 16 -> 24 -> 8, of which 24 does not divide by 16."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 8)).to(dtype)


def dense_weight(layer: Any) -> Any:
    """The parameter behind a masked weight."""
    return layer.parametrizations.weight.original
