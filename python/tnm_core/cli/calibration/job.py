"""Permute, allocate, prune: what the command does to a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from tnm_core.build_info import __version__
from tnm_core.cli.calibration.fingerprint import digest_of_batches, digest_of_model
from tnm_core.cli.calibration.masks_and_sizes import some_corners
from tnm_core.cli.calibration.plan import Budget, CalibrationPlan, patterns_of_layers
from tnm_core.cli.calibration.result import Allocation, CalibrationResult
from tnm_core.cli.calibration.source import LoadedModel
from tnm_core.cli.errors import CommandError
from tnm_core.cli.progress import LayerProgress
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.scale import Workers
from tnm_core.selection import Selection
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import (
    Distillation,
    DistillStep,
    Journal,
    Permutation,
    PrunedLayer,
    TunedBlock,
    collect_statistics,
    find_free_dimensions,
    permute_,
)
from tnm_core.torch.calibrate.allocate import (
    ScannedLayer,
    allocate,
    output_change,
    sensitivity_scan,
)

# Batches that the model runs on for each layer and pattern, so that a scan takes minutes.
SCANNED_BATCHES = 4


def prune_(
    loaded: LoadedModel,
    plan: CalibrationPlan,
    progress: LayerProgress,
    journal: Journal | None = None,
    workers: Workers | None = None,
) -> CalibrationResult:
    """Prune a model as planned, in place; its layers are ordinary ones afterwards."""
    model, batches = loaded.model, loaded.batches
    selection = plan.selection(loaded.layers_without_weights)
    permutation = allocation = None
    pattern: PatternLike | Mapping[str, PatternLike]
    if isinstance(plan.pattern, Budget):
        allocation = _allocate(loaded, plan.pattern, selection, progress)
        pattern = allocation.assignment.sparse
    elif isinstance(plan.pattern, Mapping):
        pattern = patterns_of_layers(model, plan.pattern)
    else:
        pattern = plan.pattern
        permutation = _permute_(loaded, pattern, progress) if plan.permute else None

    spent = 0.0  # those of an interrupted run count as they were

    def advance(
        done_now: PrunedLayer | TunedBlock | DistillStep | Distillation, done: int, total: int
    ) -> None:
        nonlocal spent
        if isinstance(done_now, DistillStep):
            one = done_now
            if one.step == 1:
                progress.phase("distilling")
            left = one.seconds / one.step * (one.steps - one.step)
            progress.step(f"error {one.error:.4f}", one.step, one.steps, left)
            return
        if isinstance(done_now, Distillation):
            return  # comes last, and is reported
        spent += done_now.seconds or 0.0
        progress.layer(done_now.name, done, total, left=spent / done * (total - done))

    progress.phase("reading the model")
    report = prune_model_(
        model,
        batches,
        pattern,
        plan.recipe,
        include=selection,
        progress=advance,
        journal=journal,
        executor=workers,
        distill_batches=loaded.distill_batches,
    )
    corners = some_corners(model)
    remove_sparsity_(model)
    uneven = frozenset(layer.name for layer in report.pruned if _is_uneven(model, layer))
    return CalibrationResult(report, permutation, allocation, uneven, corners)


def identity(loaded: LoadedModel, plan: CalibrationPlan) -> dict[str, str]:
    """Say what a run depends on, so that another one can tell whether it may go on with it."""
    return {
        "the model": digest_of_model(loaded.model),
        "the batches": digest_of_batches(loaded.batches),
        "the batches to distill with": digest_of_batches(loaded.distill_batches or ()),
        "the options": repr(plan),
        "the version of tnm_core": __version__,
        "the version of torch": torch.__version__,
    }


def _permute_(loaded: LoadedModel, pattern: Pattern, progress: LayerProgress) -> Permutation:
    model, batches = loaded.model, loaded.batches
    progress.phase("looking for free dimensions")
    tried = batches if loaded.trial is None else loaded.trial
    found = find_free_dimensions(model, tried, head_size=loaded.head_size)
    free = [one for one in found if one.block is None or one.block % pattern.m == 0]
    if not free:
        raise CommandError(
            f"--permute finds nothing to reorder: {len(found)} free dimensions, none of them in "
            f"blocks that divide by {pattern.m}; leave --permute out"
        )
    progress.phase("statistics")
    statistics = collect_statistics(model, batches)
    progress.phase("permuting")
    return permute_(model, free, pattern, statistics=statistics)


def _allocate(
    loaded: LoadedModel, budget: Budget, selection: Selection, progress: LayerProgress
) -> Allocation:
    progress.phase("running the model")
    some = loaded.scanned or _evenly_spread(loaded.batches, SCANNED_BATCHES)
    loss = output_change(loaded.model, some)
    progress.phase("statistics")
    statistics = collect_statistics(loaded.model, loaded.batches, include=selection)

    def advance(layer: ScannedLayer, done: int, total: int) -> None:
        progress.layer(layer.name, done, total, doing="scanning")

    progress.phase("scanning layers")
    scan = sensitivity_scan(
        loaded.model, statistics, budget.patterns, evaluate=loss, progress=advance
    )
    assignment = allocate(scan, budget.share)
    if not assignment.sparse:
        raise CommandError(f"a budget of {budget.share:g} leaves every layer dense; lower it")
    return Allocation(assignment, len(some), statistics.skips)


def _evenly_spread(batches: Iterable[Any], most: int) -> list[Any]:
    """Take the first, the last and some between: sentences are sorted by length."""
    last = sum(1 for _ in batches) - 1
    wanted = {round(last * index / (most - 1)) for index in range(most)}
    return [batch for index, batch in enumerate(batches) if index in wanted]


def _is_uneven(model: nn.Module, layer: PrunedLayer) -> bool:
    try:
        module = model.get_submodule(layer.name)
    except AttributeError:  # the weight of experts, by its own name
        return False
    pattern = as_pattern(layer.pattern or "")
    groups = module.groups if isinstance(module, nn.Conv2d) else 1
    return pattern.transposable and groups > 1 and layer.shape[0] // groups % pattern.m != 0
