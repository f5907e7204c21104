"""Pruning a model by an arm of the study, and measuring what is left of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Protocol

import torch
from torch import nn

from bench.study.arms import Arm
from bench.study.runs import Result
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import RECIPES, collect_statistics, find_free_dimensions, permute_
from tnm_core.torch.calibrate.allocate import Sensitivity, allocate, sensitivity_scan

Batches = list[dict[str, torch.Tensor]]

MIXED = ("12:32", "16:32", "20:32", "24:32")
UNIFORM = "16:32"
BUDGET = 0.5
SCANNED_BATCHES = 3
PERMUTED = "permuted"


class Subject(Protocol):
    """A model and its data. Workers get a copy of it."""

    head_size: int

    def model(self) -> nn.Module:
        """The dense model, fresh."""

    def calibration(self, seed: int, samples: int) -> Batches:
        """Data to prune with; batches are passed to the model as keyword arguments."""

    def measure(self, model: nn.Module, seed: int) -> dict[str, float]:
        """What the model is worth on other data, by name."""


class LayerClock:
    """CPU seconds of this process by layer; layers that share an input are one step."""

    def __init__(self) -> None:
        self.start = self.last = time.process_time()
        self.by_layer: dict[str, float] = {}

    def __call__(self, layer: Any, done: int, total: int) -> None:
        now = time.process_time()
        self.by_layer[layer.name] = now - self.last
        self.last = now

    @property
    def total(self) -> float:
        return time.process_time() - self.start


def run(subject: Subject, arm: Arm, seed: int) -> Result:
    """Prune a fresh model and measure it."""
    with _one_thread():
        model = subject.model()
        batches = subject.calibration(seed, arm.samples)
        recipe = replace(RECIPES[final_recipe(arm.recipe)], method=arm.method)
        pattern: str | dict[str, str] = arm.pattern
        told: dict[str, Any] = {}
        whole = LayerClock()
        if arm.recipe.startswith(PERMUTED):
            free = find_free_dimensions(model, batches, head_size=subject.head_size)
            done = permute_(model, free, arm.pattern, statistics=collect_statistics(model, batches))
            told["permuted"] = {"before": done.before, "after": done.after}
        if arm.recipe == "allocated":
            scan = scanned(model, batches)
            chosen = allocate(scan, BUDGET)
            pattern = chosen.sparse
            uniform = float(scan.loss[:, scan.patterns.index(UNIFORM)].sum())
            told["allocated"] = {"cost": chosen.cost, "loss": chosen.loss, "uniform loss": uniform}
        clock = LayerClock()
        report = prune_model_(model, batches, pattern, recipe, progress=clock)
        return {
            **asdict(arm),
            "seed": seed,
            "seconds": whole.total,
            "measures": subject.measure(model, seed),
            **told,
            "layers": [
                {
                    "name": layer.name,
                    "shape": layer.shape,
                    "pattern": layer.pattern,
                    "error": layer.error,
                    "retained": layer.retained,
                    "seconds": clock.by_layer[layer.name],
                }
                for layer in report.pruned
            ],
        }


def final_recipe(recipe: str) -> str:
    """What `prune_model_` is asked for at the end."""
    last = recipe.removeprefix(PERMUTED).removeprefix(", ")
    return last if last in RECIPES else "best"


def scanned(model: nn.Module, batches: Batches) -> Sensitivity:
    """How far pruning one layer moves the outputs of the model on some of the batches."""
    few = batches[:: max(1, len(batches) // SCANNED_BATCHES)]

    @torch.no_grad()
    def outputs(of: nn.Module) -> torch.Tensor:
        return torch.cat([of(**batch) for batch in few])

    dense = outputs(model)
    return sensitivity_scan(
        model,
        collect_statistics(model, batches),
        MIXED,
        evaluate=lambda pruned: float((outputs(pruned) - dense).square().sum(1).mean()),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
