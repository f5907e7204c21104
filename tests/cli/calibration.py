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
