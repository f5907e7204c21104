"""`TransposableLinear`: products with packed weights, and whether they pay."""

from __future__ import annotations

from tnm_core.torch.linear.conversion_report import ConversionReport, ConvertedLayer
from tnm_core.torch.linear.convert import to_sparse_linear_
from tnm_core.torch.linear.layer_benchmark import LayerBenchmark, PartTiming, benchmark_layer
from tnm_core.torch.linear.repacking import repack_, repack_after_step
from tnm_core.torch.linear.speed_table import Speed, SpeedTable
from tnm_core.torch.linear.transposable_linear import TransposableLinear

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
]
