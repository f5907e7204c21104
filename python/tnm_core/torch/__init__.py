"""Transposable masks in torch: on tensors, on the layers of a model, and while it trains.

Needs torch (the extra ``torch``); tnm_core itself does not import it.
"""

from __future__ import annotations

from tnm_core.extras import how_to_install

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError(
        f"tnm_core.torch needs torch, which is not installed: {how_to_install('torch')}"
    ) from error

from tnm_core.torch.calibrate import prune_model_
from tnm_core.torch.layers import (
    LayerReport,
    SparsifyReport,
    apply_masks_,
    dense_state_dict,
    load_masks_,
    masks,
    remove_sparsity_,
    sparsify_,
)
from tnm_core.torch.linear import (
    ConversionReport,
    ConvertedLayer,
    InferenceReport,
    LayerBenchmark,
    PackedLinear,
    PackedPointwise,
    PackedWeight,
    PartTiming,
    RowWiseConv1D,
    RowWiseLinear,
    RowWisePointwise1d,
    RowWisePointwise2d,
    Speed,
    SpeedTable,
    TransposableConv1D,
    TransposableLinear,
    TransposablePointwise1d,
    TransposablePointwise2d,
    benchmark_layer,
    load_packed_,
    pack_for_inference_,
    repack_,
    repack_after_step,
    to_sparse_linear_,
)
from tnm_core.torch.tensors import kept_of_m, least_disturbing_mask, nm_mask, transposable_mask
from tnm_core.torch.training import (
    SRSTE,
    DynamicMask,
    MaskStatistics,
    SparseTraining,
    StaticMask,
    cubic_schedule,
    train_sparse_,
)

__all__ = [
    "SRSTE",
    "ConversionReport",
    "ConvertedLayer",
    "DynamicMask",
    "InferenceReport",
    "LayerBenchmark",
    "LayerReport",
    "MaskStatistics",
    "PackedLinear",
    "PackedPointwise",
    "PackedWeight",
    "PartTiming",
    "RowWiseConv1D",
    "RowWiseLinear",
    "RowWisePointwise1d",
    "RowWisePointwise2d",
    "SparseTraining",
    "SparsifyReport",
    "Speed",
    "SpeedTable",
    "StaticMask",
    "TransposableConv1D",
    "TransposableLinear",
    "TransposablePointwise1d",
    "TransposablePointwise2d",
    "apply_masks_",
    "benchmark_layer",
    "cubic_schedule",
    "dense_state_dict",
    "kept_of_m",
    "least_disturbing_mask",
    "load_masks_",
    "load_packed_",
    "masks",
    "nm_mask",
    "pack_for_inference_",
    "prune_model_",
    "remove_sparsity_",
    "repack_",
    "repack_after_step",
    "sparsify_",
    "to_sparse_linear_",
    "train_sparse_",
    "transposable_mask",
]
