"""Steps of single layers over shapes and tokens, by `benchmark_layer`."""

from __future__ import annotations

import torch

from bench.gpu_checks.settings import Record, Say, Settings
from tnm_core.torch import TransposableLinear, benchmark_layer


def run(settings: Settings, say: Say) -> list[Record]:
    """One record for each shape and number of tokens, until time is up."""
    records: list[Record] = []
    for shape in settings.product_shapes:
        torch.manual_seed(0)
        layer = TransposableLinear(
            shape[1],
            shape[0],
            bias=False,
            backend=settings.backend,
            device=settings.device,
            dtype=settings.dtypes[0],
        )
        for tokens in settings.product_tokens:
            if settings.out_of_time:
                say("out of time")
                return records
            result = benchmark_layer(layer, tokens, seconds=settings.seconds)
            records.append(result.as_json())
            say(f"{shape[0]} x {shape[1]}, {tokens} tokens: {result.verdict()}")
    return records
