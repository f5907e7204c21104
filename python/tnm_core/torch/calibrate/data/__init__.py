"""What calibration data tell: a model run with hooks, its order, sums over its layers' inputs."""

from __future__ import annotations

from tnm_core.torch.calibrate.data.batches import Calibration, drop_padding
from tnm_core.torch.calibrate.data.block_chain import BlockChain, find_chain
from tnm_core.torch.calibrate.data.collector import Collector, Sample
from tnm_core.torch.calibrate.data.decisions import Unpaired
from tnm_core.torch.calibrate.data.execution_order import Group, Order, execution_order
from tnm_core.torch.calibrate.data.layer_matrices import (
    CALIBRATED_LAYERS,
    CalibratedLayer,
    LayerMatrices,
    layer_matrices_of,
    layer_of,
    parameters_of,
    write_parameters_,
)
from tnm_core.torch.calibrate.data.layer_statistics import Statistics, collect_statistics
from tnm_core.torch.calibrate.data.matrix_layers import Products, standing_in
from tnm_core.torch.calibrate.data.moments import Moments
from tnm_core.torch.calibrate.data.paired_runs import PairedRuns, Run
from tnm_core.torch.calibrate.data.recording import (
    evaluating,
    first_tensor,
    given_tensor,
    record,
)
from tnm_core.torch.calibrate.data.residuals import find_residuals

__all__ = [
    "CALIBRATED_LAYERS",
    "BlockChain",
    "CalibratedLayer",
    "Calibration",
    "Collector",
    "Group",
    "LayerMatrices",
    "Moments",
    "Order",
    "PairedRuns",
    "Products",
    "Run",
    "Sample",
    "Statistics",
    "Unpaired",
    "collect_statistics",
    "drop_padding",
    "evaluating",
    "execution_order",
    "find_chain",
    "find_residuals",
    "first_tensor",
    "given_tensor",
    "layer_matrices_of",
    "layer_of",
    "parameters_of",
    "record",
    "standing_in",
    "write_parameters_",
]
