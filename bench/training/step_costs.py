"""Seconds that a step takes: dense, masked, by sparse products; and what new masks add."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import nn

from bench.products.rounds import time_in_turns
from bench.training.arms import METHODS
from bench.training.task import Task
from tnm_core.torch import (
    StaticMask,
    masks,
    nm_mask,
    remove_sparsity_,
    repack_after_step,
    sparsify_,
    to_sparse_linear_,
    transposable_mask,
)

Step = Callable[[], None]
ROW = "row "


@dataclass(frozen=True)
class StepCost:
    """Best seconds of one pattern, beside those of a dense step in the same run.

    `products` is None where no layer has sparse products; `refresh` has the seconds in which all
    masks are found anew, by method.
    """

    task: str
    pattern: str
    dense: float
    masked: float
    products: float | None
    refresh: dict[str, float]

    def as_record(self) -> dict[str, object]:
        """Return it for a JSON file."""
        return asdict(self)


def measure(name: str, task: Task, patterns: Sequence[str], seconds: float) -> list[StepCost]:
    """Time steps in turns, some seconds for each."""
    batch = next(iter(task.batches(0, 1)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_measure(name, task, pattern, batch, seconds) for pattern in patterns]
    finally:
        torch.set_num_threads(threads)


def _measure(
    name: str, task: Task, pattern: str, batch: tuple[torch.Tensor, torch.Tensor], seconds: float
) -> StepCost:
    dense = _model(task)
    masked = copy.deepcopy(dense)
    sparsify_(masked, pattern, include=task.maskable, threads=1)
    weights = [module.weight for key, module in dense.named_modules() if task.maskable(key, module)]
    steps = {"dense": _step(task, dense, batch)}
    packed = with_products(copy.deepcopy(masked), pattern)
    if packed is not None:
        steps["products"] = _step(task, packed, batch, repacked=True)
    steps["masked"] = _step(task, masked, batch, followed=True)
    methods = METHODS if not pattern.startswith(ROW) else METHODS[:1]
    for method in methods:
        steps[method] = _refresh(weights, pattern, method)
    timings = time_in_turns(list(steps.values()), seconds)
    best = {key: timing.best for key, timing in zip(steps, timings, strict=True)}
    return StepCost(
        name, pattern, best["dense"], best["masked"], best.get("products"),
        {method: best[method] for method in methods},
    )  # fmt: skip


def with_products(model: nn.Module, pattern: str) -> nn.Module | None:
    """Give a masked model layers that multiply by packed weights; None where no layer can.

    Parameters stay the same, so that an optimizer goes on.
    """
    found = masks(model)
    remove_sparsity_(model)
    linear = {
        name: mask
        for name, mask in found.items()
        if isinstance(model.get_submodule(name), nn.Linear)
    }
    if not linear:
        return None
    to_sparse_linear_(
        model, pattern, include=list(linear), masks=linear, backend="cpu", masked_gradient=True
    )
    return model


def _model(task: Task) -> nn.Module:
    torch.manual_seed(0)
    return task.model()


def _step(
    task: Task,
    model: nn.Module,
    batch: tuple[torch.Tensor, torch.Tensor],
    *,
    followed: bool = False,
    repacked: bool = False,
) -> Step:
    optimizer = task.optimizer(model)
    if followed:
        StaticMask().attach(model, optimizer)
    if repacked:
        repack_after_step(optimizer, model)

    def step() -> None:
        optimizer.zero_grad()
        task.loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), task.rates.clip)
        optimizer.step()

    return step


def _refresh(weights: Sequence[torch.Tensor], pattern: str, method: str) -> Step:
    def refresh() -> None:
        for weight in weights:
            matrix = weight.detach()
            if matrix.ndim == 4:  # a matrix for each position of the kernel
                matrix = matrix.permute(2, 3, 0, 1)
            if pattern.startswith(ROW):
                nm_mask(matrix, pattern, threads=1)
            else:
                transposable_mask(matrix, pattern, method=method, threads=1)  # type: ignore[arg-type]

    return refresh
