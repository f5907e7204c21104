"""What was done to a model, as text, as JSON, and as metadata of the file that is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tnm_core.checkpoint import PruneRecord, record_metadata
from tnm_core.cli.report_page import MaskCorner
from tnm_core.cli.skips import skip_json
from tnm_core.pattern import Pattern, as_pattern
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate import BatchNormCorrection, Permutation, PrunedLayer, PruneReport
from tnm_core.torch.calibrate.allocate import Assignment


@dataclass(frozen=True)
class Allocation:
    """The patterns that meet a budget, and on how many batches their losses were measured.

    `skips` says why layers were left out.
    """

    assignment: Assignment
    batches: int
    skips: Mapping[str, Skip]


@dataclass(frozen=True)
class CalibrationResult:
    """What was done to a model.

    Tiles of `uneven` layers do not lie in the grid of the whole tensor, where `tnm check` would
    look for them: those of grouped convolutions start anew with each group.
    """

    report: PruneReport
    permutation: Permutation | None
    allocation: Allocation | None
    uneven: frozenset[str]
    corners: tuple[MaskCorner, ...] = ()

    @property
    def skipped(self) -> dict[str, Skip]:
        """Why the others were left alone: where a layer has no pattern, perhaps for the budget."""
        unnamed: dict[str, Skip] = {}
        if self.allocation is not None:
            allocated = self.allocation.assignment.patterns
            unnamed = dict.fromkeys(allocated, SkipCode.DENSE_WITHIN_BUDGET())
            unnamed |= self.allocation.skips
        return {
            layer.name: unnamed.get(layer.name, layer.skip)
            if layer.skip.code is SkipCode.NO_PATTERN
            else layer.skip
            for layer in self.report.layers
            if layer.skip is not None
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
            for block in self.report.blocks
        )
        lines += (f"{name or 'the model'}: {why}" for name, why in self.report.untuned.items())
        if self.report.batch_norm is not None:
            lines.append(self.report.batch_norm.summary)
        if self.report.distillation is not None:
            lines.append(str(self.report.distillation))
        lines += (
            f"{layer.name}: {layer.remark}"
            for layer in self.report.pruned
            if layer.remark is not None
        )
        return lines

    def metadata(self, tensors: Mapping[str, Any]) -> dict[str, str]:
        """Return metadata for `tnm check`, one record per pattern, of tensors that a file holds."""
        names: dict[Pattern, list[str]] = {}
        for layer in self.report.pruned:
            name = _stored_name(layer, tensors)
            if name is not None and layer.name not in self.uneven:
                names.setdefault(as_pattern(layer.pattern or ""), []).append(name)
        told = f"calibrated by {self.report.recipe}"
        records = [PruneRecord.of(one, "optimal", told, layers) for one, layers in names.items()]
        return record_metadata(records[0], records[1:]) if records else {}

    def renamed(self, tensors: Mapping[str, Any]) -> list[str]:
        """Return the layers that a file holds under other names, as transformers splits experts."""
        return [one.name for one in self.report.pruned if _stored_name(one, tensors) is None]

    def as_json(self) -> dict[str, Any]:
        """Return figures by layer, for machines."""
        permutation, allocation = self.permutation, self.allocation
        distillation = self.report.distillation
        skipped = self.skipped
        return {
            "recipe": self.report.recipe,
            "layers": [{**one.to_record(), "shape": list(one.shape)} for one in self.report.pruned],
            "tuned_blocks": [asdict(block) for block in self.report.blocks],
            "untuned_blocks": {name: str(why) for name, why in self.report.untuned.items()},
            "batch_norm": _batch_norm_json(self.report.batch_norm),
            "distillation": None if distillation is None else asdict(distillation),
            "skipped": [
                {"name": one.name, "shape": list(one.shape), **skip_json(skipped[one.name])}
                for one in self.report.skipped
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


def _batch_norm_json(correction: BatchNormCorrection | None) -> dict[str, Any] | None:
    if correction is None:
        return None
    return {
        "corrected": correction.kept,
        "error_before": correction.error_before,
        "error": correction.error,
        "norms": correction.norms,
        "skipped": {name: skip_json(skip) for name, skip in correction.skips.items()},
    }


def _stored_name(layer: PrunedLayer, tensors: Mapping[str, Any]) -> str | None:
    """Return the name of a layer's weight in a file; that of experts is a parameter's own."""
    weight = f"{layer.name}.weight" if layer.name else "weight"
    return next((name for name in (weight, layer.name) if name in tensors), None)
