"""Random numbers that both models draw alike, such as those of dropout that was left on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def same_randomness(seed: int) -> Iterator[None]:
    """Let torch and Python draw within what they draw for a seed; go on as before afterwards."""
    on_gpu = torch.cuda.is_initialized()
    devices = list(range(torch.cuda.device_count())) if on_gpu else []
    before = random.getstate()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)
