"""What the units of a dimension are worth to the masks of the layers that they meet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.torch.calibrate.data import Statistics, layer_matrices_of, layer_of
from tnm_core.torch.layers import WeightAxes, weight_axes_of


@dataclass(frozen=True)
class UnitScores:
    """Scores of the weights of a model, as the tiles of their masks see them."""

    model: nn.Module
    statistics: Statistics | None
    pattern: Pattern

    def counts(self, name: str) -> bool:
        """Whether a layer is going to have a mask."""
        layer = layer_of(self.model, name)
        return isinstance(weight_axes_of(layer, layer.weight, self.pattern.m), WeightAxes)

    def of_layer(self, name: str, side: int) -> torch.Tensor:
        """Return output (side 0) or input units times what each meets, filled up to tiles."""
        layer = layer_of(self.model, name)
        matrices = layer_matrices_of(layer)
        scores = matrices.of_weight(layer.weight.detach().double().cpu().square())
        if self.statistics is not None:
            moments = self.statistics.layers[name]
            scores = scores * (moments.xx.diagonal(0, -2, -1) / moments.count).cpu()[:, None]
        scores = scores / scores.sum().clamp_min(1e-300)
        # Groups, outputs, kernel positions, channels: a tile lies in the first and last of a layer.
        scores = scores.view(matrices.groups, matrices.outputs, matrices.positions, -1)
        if side:
            scores = scores.transpose(1, 3)
        scores = nn.functional.pad(scores, (0, -scores.shape[3] % self.pattern.m))
        return scores.flatten(0, 1).flatten(1).contiguous()
