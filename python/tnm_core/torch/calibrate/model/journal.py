"""Steps of pruning a model, and keeping them, so that an interrupted run can go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip
from tnm_core.torch.calibrate.model.prune_report import Distillation, PrunedLayer, TunedBlock


@dataclass(frozen=True)
class PruneStep:
    """What one step has done: layers are pruned, a block is tuned, or the model is distilled.

    Attributes
    ----------
    parameters : mapping of str to torch.Tensor
        What the step has changed, by name in the model.
    layers, masks : tuple of PrunedLayer, mapping of str to torch.Tensor
        Layers that were pruned, and their masks by name.
    blocks, untuned : tuple of TunedBlock, mapping of str to Skip
        Blocks that were tuned, or why not.
    distillation : Distillation or None
        What distilling has brought, if it is this step.
    """

    parameters: Mapping[str, torch.Tensor]
    layers: tuple[PrunedLayer, ...] = ()
    masks: Mapping[str, torch.Tensor] = field(default_factory=dict)
    blocks: tuple[TunedBlock, ...] = ()
    untuned: Mapping[str, Skip] = field(default_factory=dict)
    distillation: Distillation | None = None

    __repr__ = short_repr

    @torch.no_grad()
    def write_(self, model: nn.Module) -> None:
        """Change a model as the step did."""
        for name, value in self.parameters.items():
            model.get_parameter(name).copy_(value)


class Journal(Protocol):
    """Keeps the steps of a run outside of the process; numbers count from 0."""

    def recall(self, number: int) -> PruneStep | None:
        """Return a step that a run with the same inputs has kept; None if it has to be done."""

    def keep(self, number: int, step: PruneStep) -> None:
        """Keep a step that was done."""


class NoJournal:
    """Keeps nothing."""

    def recall(self, number: int) -> PruneStep | None:
        """Return None."""
        return None

    def keep(self, number: int, step: PruneStep) -> None:
        """Do nothing."""
