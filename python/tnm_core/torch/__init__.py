"""Transposable sparsity for torch models (the extra ``torch``)."""

from __future__ import annotations

from tnm_core.torch._find_mask import find_mask as transposable_mask
from tnm_core.torch.convert import ConversionReport, ConvertedLayer, to_sparse_linear_
from tnm_core.torch.layer_benchmark import LayerBenchmark, PartTiming, benchmark_layer
from tnm_core.torch.repacking import repack_, repack_after_step
from tnm_core.torch.sparse_linear import TransposableLinear
from tnm_core.torch.speed_table import Speed, SpeedTable

__all__ = [
    "ConversionReport",
    "ConvertedLayer",
    "LayerBenchmark",
    "PartTiming",
    "Speed",
    "SpeedTable",
    "TransposableLinear",
    "benchmark_layer",
    "repack_",
    "repack_after_step",
    "to_sparse_linear_",
    "transposable_mask",
]
