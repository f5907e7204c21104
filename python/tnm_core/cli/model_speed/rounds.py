"""Models that take turns on the same batches, timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Batch = dict[str, torch.Tensor]

LEAST_ROUNDS = 3


def best_seconds(
    models: Mapping[str, Any],
    batches: Sequence[Batch],
    seconds: float,
    advance: Callable[[float], None],
) -> dict[str, float]:
    """Return how long each model takes for all batches, each batch at its fastest.

    Models alternate, so that all meet the same machine: one goes through all batches, then the
    next one. They do so for `seconds` of all together, and three times at least. `advance` is told
    the share that is done.
    """
    best = {name: [float("inf")] * len(batches) for name in models}
    began, rounds = time.perf_counter(), 0
    while rounds < LEAST_ROUNDS or time.perf_counter() - began < seconds:
        for name, model in models.items():
            for index, batch in enumerate(batches):
                best[name][index] = min(best[name][index], _seconds(model, batch))
        rounds += 1
        advance(min(1.0, rounds / LEAST_ROUNDS, (time.perf_counter() - began) / seconds))
    return {name: sum(times) for name, times in best.items()}


def some_of(models: Mapping[str, Any], batches: Sequence[Batch], seconds: float) -> list[Batch]:
    """Choose batches of all lengths, as many as models manage in the time, rounds included."""
    middle = batches[len(batches) // 2]
    for model in models.values():
        _seconds(model, middle)
    once = sum(_seconds(model, middle) for model in models.values())
    most = max(1, min(len(batches), int(seconds / LEAST_ROUNDS / once)))
    return [batches[(2 * index + 1) * len(batches) // (2 * most)] for index in range(most)]


def _seconds(model: Any, batch: Batch) -> float:
    began = time.perf_counter()
    model(**batch)
    return time.perf_counter() - began
