"""Pruning a model by a variant of the study, and measuring what is left of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from bench.study.runs import Result
from bench.study.study_model import Batches, StudyModel
from bench.study.variants import Variant
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import RECIPES, collect_statistics, find_free_dimensions, permute_
from tnm_core.torch.calibrate.allocate import Sensitivity, allocate, sensitivity_scan

MIXED = ("12:32", "16:32", "20:32", "24:32")
UNIFORM = "16:32"
BUDGET = 0.5
SCANNED_BATCHES = 3
PERMUTED = "permuted"


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


def run(study_model: StudyModel, variant: Variant, seed: int) -> Result:
    """Prune a fresh model and measure it."""
    with _one_thread():
        model = study_model.model()
        batches = study_model.calibration(seed, variant.samples)
        recipe = replace(RECIPES[final_recipe(variant.recipe)], method=variant.method)
        pattern: str | dict[str, str] = variant.pattern
        told: dict[str, Any] = {}
        whole = LayerClock()
        if variant.recipe.startswith(PERMUTED):
            free = find_free_dimensions(model, batches, head_size=study_model.head_size)
            statistics = collect_statistics(model, batches)
            done = permute_(model, free, variant.pattern, statistics=statistics)
            told["permuted"] = {"before": done.before, "after": done.after}
        if variant.recipe == "allocated":
            pattern, told["allocated"] = allocated(model, batches)
        clock = LayerClock()
        report = prune_model_(model, batches, pattern, recipe, progress=clock)
        return {
            **asdict(variant),
            "seed": seed,
            "seconds": whole.total,
            "measures": study_model.measure(model, seed),
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


def allocated(model: nn.Module, batches: Batches) -> tuple[dict[str, str], dict[str, float]]:
    """Each layer its own pattern, and what is told about the choice."""
    scan = scanned(model, batches)
    chosen = allocate(scan, BUDGET)
    uniform = float(scan.loss[:, scan.patterns.index(UNIFORM)].sum())
    return chosen.sparse, {"cost": chosen.cost, "loss": chosen.loss, "uniform loss": uniform}


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
