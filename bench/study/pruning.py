"""Pruning a model by a variant of the study, and measuring what is left of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench import machine
from bench.study.kept_steps import KeptSteps
from bench.study.peak_memory import peak_mebibytes, reset_peak
from bench.study.runs import Result
from bench.study.study_model import Batches, StudyModel
from bench.study.variants import DISTILLED, NOTHING, Variant
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import (
    RECIPES,
    collect_statistics,
    find_free_dimensions,
    permute_,
)
from tnm_core.torch.calibrate.allocate import (
    allocate,
    output_change,
    sensitivity_scan,
)

MIXED = ("12:32", "16:32", "20:32", "24:32")
UNIFORM = "16:32"
BUDGET = 0.5
SCANNED_BATCHES = 3
PERMUTED = "permuted"
SHARING = ("best", DISTILLED)  # the second goes on where the first ends


def run(study_model: StudyModel, variant: Variant, seed: int, steps: Path | None = None) -> Result:
    """Prune a fresh model and measure it; what recipes have in common is kept in a folder."""
    with one_thread():
        model = study_model.model()
        batches = study_model.calibration(seed, variant.samples)
        reset_peak()
        start = time.process_time()
        told, before = {}, 0.0
        if variant.recipe != NOTHING:
            shared = steps is not None and variant.recipe in SHARING
            kept = KeptSteps(steps / _begins_like(variant, seed) if shared else None)
            told = pruned(study_model, model, variant, batches, seed, kept)
            before = kept.recalled
        seconds = before + time.process_time() - start
        # What pruned the layers before may have taken more than what recalled them.
        memory = None if before and "distillation" not in told else peak_mebibytes()
        remove_sparsity_(model)
        measures = study_model.measure(model, seed)
    return {
        **asdict(variant),
        "seed": seed,
        "seconds": seconds,
        "mebibytes": memory,
        "measures": measures,
        "machine": machine.hardware(),
        "software": machine.software(),
        "date": date.today().isoformat(),
        "layers": [],
        **told,
    }


def _begins_like(variant: Variant, seed: int) -> str:
    """Name what recipes that share their steps have in common."""
    pattern = variant.pattern.replace(":", "of").replace(" ", "-")
    return f"{pattern}-{variant.method}-{variant.samples}-samples-seed-{seed}"


def pruned(
    study_model: StudyModel,
    model: nn.Module,
    variant: Variant,
    batches: Batches,
    seed: int,
    kept: KeptSteps,
) -> dict[str, Any]:
    """Prune a model in place, and tell about it."""
    facts = study_model.facts
    recipe = replace(RECIPES[final_recipe(variant.recipe)], method=variant.method)
    pattern: str | dict[str, str] = variant.pattern
    told: dict[str, Any] = {}
    if variant.recipe.startswith(PERMUTED):
        free = find_free_dimensions(model, batches, head_size=facts.head_size)
        statistics = collect_statistics(model, batches)
        done = permute_(model, free, variant.pattern, statistics=statistics)
        told["permuted"] = {"before": done.before, "after": done.after}
    if variant.recipe == "allocated":
        few = _few(study_model, batches, seed)
        pattern, told["allocated"] = allocated(model, batches, few, facts.exclude)
    # A mapping of patterns names all that is pruned.
    exclude = None if isinstance(pattern, dict) else facts.exclude or None
    others = None
    if recipe.distill_epochs:
        others = study_model.distillation(seed, variant.distilled)
        if facts.returns_logits:
            recipe = replace(recipe, distill_loss="divergence")
    report = prune_model_(
        model, batches, pattern, recipe, exclude=exclude, journal=kept, distill_batches=others
    )
    if report.distillation is not None:
        told["distillation"] = asdict(report.distillation)
    if report.batch_norm is not None:
        told["batch norm"] = report.batch_norm.summary
    told["layers"] = [
        {
            "name": layer.name,
            "shape": layer.shape,
            "pattern": layer.pattern,
            "error": layer.error,
            "retained": layer.retained,
            "seconds": kept.by_layer[layer.name],
        }
        for layer in report.pruned
    ]
    return told


def final_recipe(recipe: str) -> str:
    """What `prune_model_` is asked for at the end."""
    last = recipe.removeprefix(PERMUTED).removeprefix(", ")
    return last if last in RECIPES else "best"


def _few(study_model: StudyModel, batches: Batches, seed: int) -> Batches:
    """What a scan runs on: some of the batches, or as many samples as the model says."""
    wanted = study_model.facts.scanned
    if wanted is not None:
        return study_model.calibration(seed, wanted)
    return batches[:: max(1, len(batches) // SCANNED_BATCHES)]


def allocated(
    model: nn.Module, batches: Batches, few: Batches, exclude: tuple[str, ...] = ()
) -> tuple[dict[str, str], dict[str, float]]:
    """Each layer its own pattern, and what is told about the choice.

    A scan prunes one layer at a time, and says how far that moves the outputs for a few batches.
    """
    scan = sensitivity_scan(
        model,
        collect_statistics(model, batches, exclude=exclude or None),
        MIXED,
        evaluate=output_change(model, few),
    )
    chosen = allocate(scan, BUDGET)
    uniform = float(scan.loss[:, scan.patterns.index(UNIFORM)].sum())
    return chosen.sparse, {"cost": chosen.cost, "loss": chosen.loss, "uniform loss": uniform}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread within."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
