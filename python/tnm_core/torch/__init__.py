"""Transposable masks in torch: on tensors, on the layers of a model, and while it trains.

Needs torch (the extra ``torch``); tnm_core itself does not import it.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError(
        "tnm_core.torch needs torch, which is not installed: pip install 'tnm_core[torch]'"
    ) from error

from tnm_core.torch.calibrate import prune_model
from tnm_core.torch.convert import ConversionReport, ConvertedLayer, to_sparse_linear_
from tnm_core.torch.dynamic_mask import DynamicMask
from tnm_core.torch.layer_benchmark import LayerBenchmark, PartTiming, benchmark_layer
from tnm_core.torch.model_masks import apply_masks_, load_masks, masks, remove_sparsity_
from tnm_core.torch.repacking import repack_, repack_after_step
from tnm_core.torch.report import LayerReport, SparsifyReport
from tnm_core.torch.schedule import cubic_schedule
from tnm_core.torch.sparse_linear import TransposableLinear
from tnm_core.torch.sparsify import sparsify_
from tnm_core.torch.speed_table import Speed, SpeedTable
from tnm_core.torch.sr_ste import SRSTE
from tnm_core.torch.static_mask import StaticMask
from tnm_core.torch.statistics import MaskStatistics
from tnm_core.torch.tensor_masks import transposable_mask

__all__ = [
    "SRSTE",
    "ConversionReport",
    "ConvertedLayer",
    "DynamicMask",
    "LayerBenchmark",
    "LayerReport",
    "MaskStatistics",
    "PartTiming",
    "SparsifyReport",
    "Speed",
    "SpeedTable",
    "StaticMask",
    "TransposableLinear",
    "apply_masks_",
    "benchmark_layer",
    "cubic_schedule",
    "load_masks",
    "masks",
    "prune_model",
    "remove_sparsity_",
    "repack_",
    "repack_after_step",
    "sparsify_",
    "to_sparse_linear_",
    "transposable_mask",
]
