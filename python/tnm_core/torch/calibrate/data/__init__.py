"""What calibration data tell: a model run with hooks, its order, sums over its layers' inputs."""

from __future__ import annotations

from tnm_core.torch.calibrate.data.chain import Chain, Run, find_chain
from tnm_core.torch.calibrate.data.collect import Collector, Sample, attended
from tnm_core.torch.calibrate.data.layer_matrices import (
    Geometry,
    LayerPattern,
    geometry_of,
    parse_layer_pattern,
)
from tnm_core.torch.calibrate.data.layer_statistics import Statistics, collect_statistics
from tnm_core.torch.calibrate.data.moments import Moments
from tnm_core.torch.calibrate.data.order import Group, execution_groups, find_residuals
from tnm_core.torch.calibrate.data.recording import Calibration, evaluating, first_tensor, record

__all__ = [
    "Calibration",
    "Chain",
    "Collector",
    "Geometry",
    "Group",
    "LayerPattern",
    "Moments",
    "Run",
    "Sample",
    "Statistics",
    "attended",
    "collect_statistics",
    "evaluating",
    "execution_groups",
    "find_chain",
    "find_residuals",
    "first_tensor",
    "geometry_of",
    "parse_layer_pattern",
    "record",
]
