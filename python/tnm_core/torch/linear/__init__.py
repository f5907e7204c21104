"""`TransposableLinear` and `RowWiseLinear`: products with packed weights, and whether they pay."""

from __future__ import annotations

from tnm_core.torch.linear.conversion import (
    ConversionReport,
    ConvertedLayer,
    to_sparse_linear_,
)
from tnm_core.torch.linear.inference import (
    InferenceReport,
    PackedLinear,
    PackedPointwise,
    PackedWeight,
    load_packed_,
    pack_for_inference_,
)
from tnm_core.torch.linear.kinds import (
    RowWiseConv1D,
    RowWiseLinear,
    RowWisePointwise1d,
    RowWisePointwise2d,
    TransposableConv1D,
    TransposablePointwise1d,
    TransposablePointwise2d,
)
from tnm_core.torch.linear.layer_benchmark import LayerBenchmark, PartTiming, benchmark_layer
from tnm_core.torch.linear.repacking import repack_, repack_after_step
from tnm_core.torch.linear.speed_table import Speed, SpeedTable
from tnm_core.torch.linear.transposable_linear import TransposableLinear

__all__ = [
    "ConversionReport",
    "ConvertedLayer",
    "InferenceReport",
    "LayerBenchmark",
    "PackedLinear",
    "PackedPointwise",
    "PackedWeight",
    "PartTiming",
    "RowWiseConv1D",
    "RowWiseLinear",
    "RowWisePointwise1d",
    "RowWisePointwise2d",
    "Speed",
    "SpeedTable",
    "TransposableConv1D",
    "TransposableLinear",
    "TransposablePointwise1d",
    "TransposablePointwise2d",
    "benchmark_layer",
    "load_packed_",
    "pack_for_inference_",
    "repack_",
    "repack_after_step",
    "to_sparse_linear_",
]
