"""The layers that multiply by one matrix, and their sparse forms."""

from __future__ import annotations

from tnm_core.torch.linear.kinds.conv1d import TransposableConv1D
from tnm_core.torch.linear.kinds.layer_kinds import (
    Kind,
    kind_of,
    matrix_layers,
    sides_of,
    skip_of_place,
)
from tnm_core.torch.linear.kinds.pointwise import (
    TransposablePointwise1d,
    TransposablePointwise2d,
    channels_first,
    channels_last,
)
from tnm_core.torch.linear.kinds.row_wise import (
    RowWiseConv1D,
    RowWiseLinear,
    RowWisePointwise1d,
    RowWisePointwise2d,
)

__all__ = [
    "Kind",
    "RowWiseConv1D",
    "RowWiseLinear",
    "RowWisePointwise1d",
    "RowWisePointwise2d",
    "TransposableConv1D",
    "TransposablePointwise1d",
    "TransposablePointwise2d",
    "channels_first",
    "channels_last",
    "kind_of",
    "matrix_layers",
    "sides_of",
    "skip_of_place",
]
