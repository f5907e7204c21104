"""Random numbers that both models draw alike, such as those of dropout that was left on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def same_randomness(seed: int) -> Iterator[None]:
    """Let torch, NumPy and Python draw within what they draw for a seed; and go on as before."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    plain, legacy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(legacy)
