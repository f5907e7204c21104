"""A small model and its data, as users of ``tnm calibrate`` write them down."""

from __future__ import annotations

from pathlib import Path

MODEL = """
import torch
from torch import nn

print("code of users may print")

def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16), nn.GELU(), nn.Linear(16, 3)
    )

def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(64, 16, generator=generator) for _ in range(3)]

class Gated(nn.Module):
    # A layer that 1:4 suits better than the other one, which does not matter at all.

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.used, self.ignored = nn.Linear(16, 16), nn.Linear(16, 16)
        kept = torch.arange(16)[:, None] % 4 == torch.arange(16) % 4
        self.used.weight.data = torch.where(kept, 1.0, 0.1) * torch.randn(16, 16).sign()

    def forward(self, x):
        return {"answer": self.used(x) + 0.0 * self.ignored(x), "steps": torch.arange(3)}

def gated():
    return Gated()

def many():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(64, 16, generator=generator) for _ in range(10)]

def loader():
    return torch.utils.data.DataLoader(torch.cat(many()), batch_size=64)

class Decide(nn.Module):
    def forward(self, x):
        return x.argmax(1)

def decided():
    return nn.Sequential(nn.Linear(16, 16), Decide())

def stream():
    yield from batches()

def few():
    return batches()[0][:8].split(4)

def numbers():
    return 7

def fails():
    raise RuntimeError("out of luck")

class Stateful(nn.Linear):
    def get_extra_state(self):
        return "what safetensors cannot hold"

def stateful():
    return Stateful(16, 16)

size = 3
"""


def write_user_file(folder: Path) -> Path:
    path = folder / "user_code.py"
    path.write_text(MODEL)
    return path
