"""Small models with a residual stream, and batches for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

WIDTH = 16


class Block(nn.Module):
    """Two branches from one input, joined, on a residual stream; padding is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.down = nn.Linear(32, WIDTH)  # declared before those that run before it
        self.gate = nn.Linear(WIDTH, 32)
        self.up = nn.Linear(WIDTH, 32)

    def forward(self, stream: torch.Tensor, scale: float) -> torch.Tensor:
        given = self.norm(stream)
        return stream + scale * self.down(functional.silu(self.gate(given)) * self.up(given))


class Network(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.stem = nn.Linear(8, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.final = nn.LayerNorm(WIDTH)
        self.last = nn.Linear(WIDTH, 4)

    def forward(self, tokens: torch.Tensor, attention_mask: Any = None) -> torch.Tensor:
        stream = self.stem(tokens)
        for block in self.blocks:
            stream = block(stream, self.scale)
        return self.last(self.final(stream))


ORDER = ["stem", *(f"blocks.{i}.{n}" for i in (0, 1) for n in ("gate", "up", "down")), "last"]


def make_network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network().double()


def make_batches(seed: int = 1, batches: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    shape = (4, 20, 8)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) @ mix + 0.3
            for _ in range(batches)]  # fmt: skip


class Detour(nn.Module):
    """Blocks in a list that are no chain: the second also gets something else."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        first = self.blocks[0](stream, 1.0)
        return self.blocks[1](first + stream, 1.0)
