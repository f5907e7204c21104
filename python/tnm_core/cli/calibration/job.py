"""Permute, allocate, prune; and what to report on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

import tnm_core as tnm
from tnm_core.checkpoint import PruneRecord
from tnm_core.cli.calibration.plan import DENSE, Budget, Wish, patterns_of_layers
from tnm_core.cli.console import LayerProgress
from tnm_core.cli.errors import CommandError
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import (
    Pattern,
    Permutation,
    PrunedLayer,
    PruneReport,
    TunedBlock,
    collect_statistics,
    find_free_dimensions,
    permute_,
)
from tnm_core.torch.calibrate.allocate import (
    Assignment,
    ScannedLayer,
    allocate,
    output_change,
    sensitivity_scan,
)
from tnm_core.torch.calibrate.data import as_pattern

# Batches that the model runs on for each layer and pattern, so that a scan takes minutes.
SCANNED_BATCHES = 4


@dataclass(frozen=True)
class Allocation:
    """The patterns that meet a budget, and on how many batches their losses were measured."""

    assignment: Assignment
    batches: int


@dataclass(frozen=True)
class Outcome:
    """What was done to a model.

    Attributes
    ----------
    uneven : frozenset of str
        Layers with tiles that do not lie in the grid of the whole tensor, where `tnm check` would
        look for them: those of grouped convolutions start anew with each group.
    tuned : tuple of TunedBlock
        Blocks that were tuned after their layers had been pruned.
    """

    recipe: str
    layers: tuple[PrunedLayer, ...]
    reasons: dict[str, str]
    permutation: Permutation | None
    allocation: Allocation | None
    uneven: frozenset[str]
    tuned: tuple[TunedBlock, ...] = ()

    @property
    def pruned(self) -> list[PrunedLayer]:
        """Layers that were pruned."""
        return [layer for layer in self.layers if layer.reason is None]

    @property
    def skipped(self) -> dict[str, str]:
        """Why the others were left alone."""
        return {
            layer.name: self.reasons.get(layer.name, _spelled(layer.reason))
            for layer in self.layers
            if layer.reason is not None
        }

    @property
    def notes(self) -> list[str]:
        """What else there is to say to people."""
        lines = []
        if self.permutation is not None:
            before, after = self.permutation.before, self.permutation.after
            count = len(self.permutation.orders)
            lines.append(
                f"{count} dimensions reordered: optimal masks keep {after:.4f} of their layers' "
                f"scores, {before:.4f} before"
            )
        if self.allocation is not None:
            lines.append(
                f"kept parameters of the layers allocated: {self.allocation.assignment.cost:.4f}, "
                "by how far each layer alone moves the outputs of the model "
                f"({self.allocation.batches} batches)"
            )
        lines += (
            f"{block.name or 'the model'} tuned: squared error of its outputs {block.error:.4f}, "
            f"{block.error_before:.4f} before"
            for block in self.tuned
        )
        return lines

    def records(self, tensors: Mapping[str, Any]) -> list[PruneRecord]:
        """Metadata for `tnm check`, one record a pattern; only of tensors that a file holds."""
        names: dict[str, list[str]] = {}
        for layer in self.pruned:
            name = f"{layer.name}.weight" if layer.name else "weight"
            if name in tensors and layer.name not in self.uneven:
                names.setdefault(str(layer.pattern), []).append(name)
        return [
            PruneRecord(
                pattern.removeprefix("row "),
                "rowwise" if pattern.startswith("row ") else "optimal",
                f"calibrated by {self.recipe}",
                tnm.__version__,
                tuple(layers),
            )
            for pattern, layers in names.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """Figures by layer, for machines."""
        permutation, allocation = self.permutation, self.allocation
        return {
            "recipe": self.recipe,
            "layers": [_layer_json(layer) for layer in self.pruned],
            "tuned_blocks": [asdict(block) for block in self.tuned],
            "skipped": [
                {"name": layer.name, "shape": list(layer.shape), "reason": self.skipped[layer.name]}
                for layer in self.layers
                if layer.reason is not None
            ],
            "permutation": None if permutation is None else {
                "dimensions": [asdict(one) for one in permutation.orders],
                "retained_before": permutation.before,
                "retained_after": permutation.after,
            },
            "allocation": None if allocation is None else {
                "kept_parameters": allocation.assignment.cost,
                "predicted_loss": allocation.assignment.loss,
                "loss": "relative squared change of the model's outputs",
                "scanned_batches": allocation.batches,
            },
        }  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """A model and data, and what is known of them.

    Attributes
    ----------
    head_size : int or None
        Units in a head of attention.
    missing : frozenset of str
        Layers that the checkpoint holds no weights of.
    """

    model: nn.Module
    batches: Iterable[Any]
    head_size: int | None
    missing: frozenset[str] = frozenset()


def prune(trained: Trained, wish: Wish, progress: LayerProgress) -> Outcome:
    """Prune a model as wished, in place; its layers are ordinary ones afterwards."""
    model, batches = trained.model, trained.batches
    wish.exclude.missing = trained.missing
    options: dict[str, Any] = {"include": wish.include or None, "exclude": wish.exclude}
    permutation = allocation = None
    pattern: Any = wish.pattern
    if wish.permute:
        permutation = _permute(trained, wish.pattern, progress)
    if isinstance(pattern, Budget):
        allocation = _allocate(model, batches, pattern, options, progress)
        pattern = allocation.assignment.sparse
    elif isinstance(pattern, Mapping):
        pattern = patterns_of_layers(model, pattern)

    def advance(done_now: PrunedLayer | TunedBlock, done: int, total: int) -> None:
        progress.layer(done_now.name, done, total)

    progress.phase("reading the model")
    report = prune_model_(model, batches, pattern, wish.recipe, progress=advance, **options)
    remove_sparsity_(model)
    return _outcome(model, report, wish, permutation, allocation)


def _permute(trained: Trained, pattern: Any, progress: LayerProgress) -> Permutation:
    assert isinstance(pattern, Pattern)
    model, batches, (n, m) = trained.model, trained.batches, (pattern.n, pattern.m)
    progress.phase("looking for free dimensions")
    found = find_free_dimensions(model, batches, head_size=trained.head_size)
    free = [one for one in found if one.block is None or one.block % m == 0]
    if not free:
        raise CommandError(
            f"--permute finds nothing to reorder: {len(found)} free dimensions, none of them in "
            f"blocks that divide by {m}; leave --permute out"
        )
    progress.phase("statistics")
    statistics = collect_statistics(model, batches)
    progress.phase("permuting")
    return permute_(model, free, (n, m), statistics=statistics)


def _allocate(
    model: nn.Module,
    batches: Iterable[Any],
    budget: Budget,
    options: Mapping[str, Any],
    progress: LayerProgress,
) -> Allocation:
    progress.phase("running the model")
    some = _evenly_spread(batches, SCANNED_BATCHES)
    loss = output_change(model, some)
    progress.phase("statistics")
    statistics = collect_statistics(model, batches, **options)

    def advance(layer: ScannedLayer, done: int, total: int) -> None:
        progress.layer(layer.name, done, total, doing="scanning")

    progress.phase("scanning layers")
    patterns = [str(one) for one in budget.patterns]
    scan = sensitivity_scan(model, statistics, patterns, evaluate=loss, progress=advance)
    assignment = allocate(scan, budget.share)
    if not assignment.sparse:
        raise CommandError(f"a budget of {budget.share:g} leaves every layer dense; lower it")
    return Allocation(assignment, len(some))


def _evenly_spread(batches: Iterable[Any], most: int) -> list[Any]:
    """First, last and some between: sentences are sorted by length."""
    last = sum(1 for _ in batches) - 1
    wanted = {round(last * index / (most - 1)) for index in range(most)}
    return [batch for index, batch in enumerate(batches) if index in wanted]


def _outcome(
    model: nn.Module,
    report: PruneReport,
    wish: Wish,
    permutation: Permutation | None,
    allocation: Allocation | None,
) -> Outcome:
    reasons = dict(wish.exclude.reasons)
    if allocation is not None:
        dense = (name for name, one in allocation.assignment.patterns.items() if one == DENSE)
        reasons |= dict.fromkeys(dense, "stays dense within the budget")
    uneven = frozenset(
        layer.name for layer in report.pruned if _is_uneven(model.get_submodule(layer.name), layer)
    )
    return Outcome(
        wish.recipe, report.layers, reasons, permutation, allocation, uneven, report.blocks
    )


def _is_uneven(module: nn.Module, layer: PrunedLayer) -> bool:
    pattern = as_pattern(layer.pattern or "")
    groups = module.groups if isinstance(module, nn.Conv2d) else 1
    return pattern.transposable and groups > 1 and layer.shape[0] // groups % pattern.m != 0


def _spelled(reason: str | None) -> str:
    if reason == "not named in pattern":
        return "no pattern given for it"
    told = (reason or "").replace("include=", "--include").replace("exclude=", "--exclude")
    return told.replace(" is not among layers=", " (Linear and Conv2d are pruned)")


def _layer_json(layer: PrunedLayer) -> dict[str, Any]:
    return {**asdict(layer), "shape": list(layer.shape)}
