"""Layers as matrices and rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core as tnm
from tnm_core.pattern import as_pattern
from tnm_core.torch.calibrate.data import layer_matrices_of
from tnm_core.torch.calibrate.data.layer_rows import input_rows, output_rows

LAYERS = [
    nn.Linear(6, 10),
    nn.Conv2d(6, 10, 3),
    nn.Conv2d(8, 12, (3, 2), stride=2, padding=1, groups=2),
    nn.Conv2d(6, 10, 3, dilation=2, padding="same"),
    nn.Conv2d(6, 10, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(6, 10, 1, bias=False),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_layer_is_its_problems(layer: Any) -> None:
    layer = layer.double()
    matrices = layer_matrices_of(layer)
    linear = isinstance(layer, nn.Linear)
    given = torch.randn(3, 7, 6) if linear else torch.randn(3, layer.in_channels, 9, 8)
    given = given.double()
    output = layer(given).detach()
    rows = input_rows(layer, given)
    weights = matrices.of_weight(layer.weight.detach())
    product = rows @ weights.transpose(1, 2)
    if layer.bias is not None:
        product = product + layer.bias.detach().view(matrices.groups, 1, -1)
    torch.testing.assert_close(product, output_rows(layer, output))
    assert torch.equal(matrices.to_weight(weights), layer.weight)


@pytest.mark.parametrize("layer", LAYERS[:3], ids=str)
@pytest.mark.parametrize("pattern", ["2:4", "1:4", "row 2:4"])
def test_masks_of_problems_are_those_of_the_weight(layer: Any, pattern: str) -> None:
    matrices, wanted = layer_matrices_of(layer), as_pattern(pattern)
    scores = torch.rand(layer.weight.shape, dtype=torch.float64)
    mask = matrices.to_weight(matrices.project(matrices.of_weight(scores), wanted))
    by_group = scores.numpy().reshape(matrices.groups, -1, matrices.channels, matrices.positions)
    for group, position in np.ndindex(matrices.groups, matrices.positions):
        values = by_group[group, :, :, position]
        if wanted.transposable:
            expected = tnm.transposable_mask(values, wanted.n, 4, score="identity")
        else:
            expected = tnm.nm_mask(values, wanted.n, 4, score="identity")
        got = mask.numpy().reshape(by_group.shape)[group, :, :, position]
        np.testing.assert_array_equal(got, expected)
