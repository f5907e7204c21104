"""Problems that the solvers are tested on."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tnm_core import Pattern
from tnm_core.torch.calibrate import Moments
from tnm_core.torch.calibrate.data import LayerMatrices, layer_matrices_of
from tnm_core.torch.calibrate.data.moments import MomentSums
from tnm_core.torch.calibrate.solvers import LayerLeastSquares, layer_least_squares_of

ROWS, COLUMNS, OUTPUTS = 300, 24, 16


def make_data(seed: int = 0, rows: int = ROWS, columns: int = COLUMNS) -> tuple[Any, Any, Any]:
    """Correlated inputs with a mean, noisy wanted outputs, and a dense weight."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(columns, columns, generator=generator, dtype=torch.float64)
    x = torch.randn(1, rows, columns, generator=generator, dtype=torch.float64) @ mix + 0.5
    weight = torch.randn(1, OUTPUTS, columns, generator=generator, dtype=torch.float64)
    noise = torch.randn(1, rows, OUTPUTS, generator=generator, dtype=torch.float64)
    return x, x @ weight.transpose(1, 2) + noise + 1.0, weight


def moments_of(x: Any, y: Any = None) -> Moments:
    """Moments of rows that are added all at once."""
    sums = MomentSums(x.shape[0], x.shape[2], 0 if y is None else y.shape[2])
    sums.add(x, y)
    return sums.moments()


def make_problem(damping: float = 0.1, **options: Any) -> LayerLeastSquares:
    x, y, weight = make_data()
    return layer_least_squares_of(moments_of(x, y), weight, damping=damping, **options)


def make_mask(seed: int = 1) -> Any:
    """Rows that keep different numbers of entries, one of them nothing."""
    mask = torch.rand(1, OUTPUTS, COLUMNS, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask[0, 3] = False
    return mask


def make_projection(pattern: Pattern) -> tuple[LayerMatrices, Any]:
    """How a linear layer becomes a matrix, and what finds its masks."""
    matrices = layer_matrices_of(nn.Linear(COLUMNS, OUTPUTS))
    return matrices, lambda scores: matrices.project(scores, pattern)
