"""Weights that no Linear holds, after the layers that stood for their matrices were pruned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.model.layer_plan import PlannedLayer
from tnm_core.torch.calibrate.model.prune_layers import PrunedLayers
from tnm_core.torch.calibrate.model.prune_report import PrunedLayer
from tnm_core.torch.layers import Candidate, WeightAxes


@dataclass(frozen=True)
class MatrixStack:
    """A weight of one matrix, or of one for each expert, and the layers that stand for them.

    `magnitudes` are those of its dense matrices.
    """

    one: Candidate
    planned: PlannedLayer
    parts: Sequence[str]
    magnitudes: torch.Tensor

    @classmethod
    def of(cls, one: Candidate, planned: PlannedLayer, parts: Sequence[str]) -> MatrixStack:
        """Look at a weight before it is pruned."""
        matrices = one.weight.detach()[None] if one.weight.ndim == 2 else one.weight.detach()
        sums = torch.stack([matrix.abs().sum(dtype=torch.float64) for matrix in matrices])
        return cls(one, planned, parts, sums)

    @torch.no_grad()
    def result(self, done: PrunedLayers, needs_data: bool) -> tuple[PrunedLayer, torch.Tensor]:
        """Put together what was done to its matrices; no row reached some: mask those as they are.

        Returned is a layer that was left alone, with an empty mask, if it has but one matrix and no
        row reached that.
        """
        one, pattern = self.one, self.planned.pattern
        told = PrunedLayer(one.name, one.kind, one.shape)
        if one.weight.ndim == 2 and self.parts[0] not in done.layers:
            return replace(told, skip=SkipCode.NEVER_CALLED()), torch.empty(0)
        masks, kept = [], torch.zeros((), dtype=torch.float64)
        for index, part in enumerate(self.parts):
            mask = self._mask(index, part, done)
            masks.append(mask)
            if part in done.layers:
                kept += self.magnitudes[index].cpu() * (done.layers[part].retained or 0.0)
            else:
                kept += (self._matrix(index).abs() * mask).sum(dtype=torch.float64).cpu()
        reached = [done.layers[part] for part in self.parts if part in done.layers]
        errors = [layer.error for layer in reached if layer.error is not None]
        mask = masks[0] if one.weight.ndim == 2 else torch.stack(masks)
        told = replace(
            told,
            pattern=str(pattern),
            error=sum(errors) / len(errors) if errors else None,
            retained=float(kept / self.magnitudes.sum().cpu().clamp_min(1e-300)),
            density=float(mask.float().mean()),
            seconds=sum(layer.seconds or 0.0 for layer in reached),
            remark=self._remark(done, reached, needs_data),
        )
        return told, mask

    def _matrix(self, index: int) -> torch.Tensor:
        weight = self.one.weight.detach()
        return weight if weight.ndim == 2 else weight[index]

    def _mask(self, index: int, part: str, done: PrunedLayers) -> torch.Tensor:
        """Return the mask of a matrix, as it lies in the weight."""
        axis = self.planned.axes.input_axis
        if part in done.masks:
            return done.masks[part] if axis else done.masks[part].T
        return WeightAxes(input_axis=axis).solve(self._matrix(index), self.planned.pattern)

    def _remark(
        self, done: PrunedLayers, reached: Sequence[PrunedLayer], needs_data: bool
    ) -> Skip | None:
        missed = [str(i) for i, part in enumerate(self.parts) if part not in done.layers]
        if missed and needs_data:
            if not reached:
                return SkipCode.PRODUCTS_UNSEEN()
            return SkipCode.EXPERTS_UNREACHED(experts=", ".join(missed))
        return next((layer.remark for layer in reached if layer.remark is not None), None)
