"""What is measured: on a GPU, or tiny on the CPU to see that the script works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import torch

from tnm_core.torch.linear.backends import BackendName

Record = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """Sizes, back end and the time that is left.

    Attributes
    ----------
    seconds : float
        About how long to repeat each call that is timed.
    budget : float
        Seconds after which no further measurement is begun.
    """

    device: torch.device
    backend: BackendName
    dtypes: tuple[torch.dtype, ...]
    check_shapes: tuple[tuple[int, int], ...]
    check_tokens: tuple[int, ...]
    search_sizes: tuple[int, ...]
    product_shapes: tuple[tuple[int, int], ...]
    product_tokens: tuple[int, ...]
    mlp_sizes: tuple[int, int]
    mlp_tokens: tuple[int, ...]
    refresh_every: int
    rounds: int
    seconds: float
    budget: float
    started: float = field(default_factory=monotonic)

    @property
    def out_of_time(self) -> bool:
        return monotonic() - self.started > self.budget

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Wait for what the device was given."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)


def for_gpu(device: torch.device, budget: float) -> Settings:
    sizes = (1024, 2048, 4096, 8192)
    return Settings(
        device=device,
        backend="cusparselt",
        dtypes=(torch.bfloat16, torch.float16),
        check_shapes=((16, 16), (1024, 1024), (4096, 1024), (1024, 4096), (2064, 4112)),
        check_tokens=(1, 7, 64, 1000),
        search_sizes=sizes,
        product_shapes=(*((size, size) for size in sizes), (16384, 4096), (4096, 16384)),
        product_tokens=(2048, 4096, 8192, 16384, 32768),
        mlp_sizes=(4096, 16384),
        mlp_tokens=(16384, 4096),
        refresh_every=40,
        rounds=5,
        seconds=0.1,
        budget=budget,
    )


def for_cpu_check() -> Settings:
    return Settings(
        device=torch.device("cpu"),
        backend="emulate",
        dtypes=(torch.bfloat16, torch.float16),
        check_shapes=((16, 16), (48, 32)),
        check_tokens=(1, 7),
        search_sizes=(16, 64),
        product_shapes=((32, 32), (64, 32)),
        product_tokens=(8, 16),
        mlp_sizes=(32, 64),
        mlp_tokens=(8,),
        refresh_every=4,
        rounds=2,
        seconds=0.002,
        budget=60.0,
    )
