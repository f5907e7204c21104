"""Re-estimating the statistics of batch normalisation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tnm_core.torch.calibrate.data import Calibration


def has_batch_norm(model: nn.Module) -> bool:
    """Whether some module keeps running statistics."""
    return bool(_tracked(model))


@torch.no_grad()
def reestimate_batch_norm_(model: nn.Module, calibration: Calibration) -> None:
    """Set running means and variances to the averages over the calibration batches.

    Weights stay as they are; other modules run in the mode that they are in.
    """
    tracked = _tracked(model)
    modes = {norm: (norm.training, norm.momentum) for norm in tracked}
    try:
        for norm in tracked:
            norm.reset_running_stats()
            norm.momentum = None  # the plain average
            norm.training = True
        for batch in calibration.batches:
            calibration.forward(model, batch)
    finally:
        for norm, (training, momentum) in modes.items():
            norm.training, norm.momentum = training, momentum


def _tracked(model: nn.Module) -> list[_BatchNorm]:
    return [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
