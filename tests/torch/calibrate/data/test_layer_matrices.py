"""Layers as matrices and rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core as tnm
from tnm_core.pattern import as_pattern
from tnm_core.torch.calibrate.data import drop_padding, layer_matrices_of, layer_of
from tnm_core.torch.calibrate.data.layer_matrices import input_rows, output_rows

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


def test_other_modules_and_calls_without_a_tensor_are_refused() -> None:
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU())
    assert layer_of(model, "0") is model[0]
    with pytest.raises(TypeError, match="'1' is a ReLU, expected a Linear or Conv2d"):
        layer_of(model, "1")
    with pytest.raises(TypeError, match="gets or returns no tensor"):
        input_rows(model[0], None)


def test_padding_is_dropped_from_tokens_alone() -> None:
    rows = torch.tensor([[True, False], [True, True]])
    tokens = torch.randn(2, 2, 6)
    assert torch.equal(drop_padding(tokens, rows), torch.stack((tokens[0, 0], *tokens[1])))
    flat = tokens.reshape(4, 6)
    assert torch.equal(drop_padding(flat, rows), drop_padding(tokens, rows))
    for other in (torch.randn(2, 6), torch.randn(2, 3, 6), torch.randn(4)):
        assert drop_padding(other, rows) is other
    assert drop_padding(tokens, None) is tokens
