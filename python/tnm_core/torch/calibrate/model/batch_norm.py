"""Re-estimating the statistics of batch normalisation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tnm_core.torch.calibrate.data import Calibration


@torch.no_grad()
def reestimate_batch_norm_(model: nn.Module, calibration: Calibration) -> None:
    """Set running means and variances, if there are some, to averages over the calibration batches.

    Weights stay as they are; other modules run in the mode that they are in.
    """
    tracked = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
    if not tracked:
        return
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
