"""Layers and references for tests of the torch adapters."""

from __future__ import annotations

from typing import Any

import torch

from tnm_core.torch import RowWiseLinear, TransposableLinear

# On products as small as these, threads only wait for each other.
torch.set_num_threads(1)

ROUNDING = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 4e-3,
    torch.bfloat16: 3e-2,
}


# What gradients are checked in; the CPU's packed products have no float64.
EXACT = {"cpu": torch.float32, "dense": torch.float64, "emulate": torch.float64}


def make_layer(
    out_features: int, in_features: int, n: int = 2, m: int = 4, seed: int = 0, **options: Any
) -> TransposableLinear:
    torch.manual_seed(seed)
    return TransposableLinear(in_features, out_features, True, n, m, **options)


def reference(layer: TransposableLinear | RowWiseLinear, rows: torch.Tensor) -> torch.Tensor:
    """The masked product in float64, differentiable by rows alone."""
    weight = torch.where(layer.mask, layer.weight.detach().double(), 0.0)
    bias = 0.0 if layer.bias is None else layer.bias.detach().double()
    return rows.double() @ weight.t() + bias


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal up to the rounding of the dtype found, relative to the largest entry."""
    assert found.shape == expected.shape
    if found.numel():
        scale = float(expected.detach().double().abs().max()) or 1.0
        worst = float((found.detach().double() - expected.detach().double()).abs().max())
        assert worst <= ROUNDING[found.dtype] * scale, (worst, scale)
