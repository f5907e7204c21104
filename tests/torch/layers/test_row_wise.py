"""Row-wise masks on layers: groups run along the inputs and never cross filters."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.support import references
from tests.torch.networks import dense_weight, perceptron
from tests.torch.refusals import assert_refused
from tnm_core import Pattern
from tnm_core.torch import load_masks_, masks, remove_sparsity_, sparsify_


def _expected(weight: Any, n: int, m: int, axis: int = -1) -> np.ndarray:
    return references.nm_mask(abs(weight.detach().numpy()), n, m, axis)


@pytest.mark.parametrize("pattern", ["row 3:8", Pattern(3, 8, transposable=False)])
def test_linear(pattern: Any) -> None:
    model = perceptron()
    report = sparsify_(model, pattern)
    assert report.pattern == "row 3:8"
    assert [layer.pattern for layer in report.sparse] == ["row 3:8", "row 3:8"]
    for name, mask in masks(model).items():
        weight = dense_weight(model[int(name)])
        np.testing.assert_array_equal(mask.numpy(), _expected(weight, 3, 8))
        assert torch.equal(model[int(name)].weight, weight * mask)
    assert "row 3:8" in repr(model)


@pytest.mark.parametrize("groups", [1, 2])
def test_groups_of_a_convolution_run_along_its_input_channels(groups: int) -> None:
    model = nn.Conv2d(20, 12, (3, 2), groups=groups)
    weight = model.weight.detach().clone()
    sparsify_(model, "row 2:4")
    mask = masks(model)[""].numpy()
    for out, row, column in itertools.product(range(12), range(3), range(2)):
        here = (out, slice(None), row, column)
        np.testing.assert_array_equal(mask[here], _expected(weight[here], 2, 4))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_inputs_of_a_transposed_convolution_are_its_first_axis(groups: int) -> None:
    model = nn.ConvTranspose1d(36, 24, 3, groups=groups)
    weight = model.weight.detach().clone()
    sparsify_(model, "row 2:4", layers=(nn.ConvTranspose1d,))
    mask, rows = masks(model)[""].numpy(), 36 // groups
    for group, out, position in itertools.product(range(groups), range(24 // groups), range(3)):
        here = (slice(group * rows, (group + 1) * rows), out, position)
        np.testing.assert_array_equal(mask[here], _expected(weight[here], 2, 4))


def test_a_function_scores() -> None:
    model = perceptron()
    weight = model[0].weight.detach().clone()
    sparsify_(model, "row 2:4", include="0", score=lambda name, weight: -weight)
    expected = references.nm_mask(-weight.numpy(), 2, 4, -1)
    np.testing.assert_array_equal(masks(model)["0"].numpy(), expected)


def test_the_pattern_is_part_of_the_state() -> None:
    rows, tiles = perceptron(0), perceptron(1)
    sparsify_(rows, "row 2:4")
    sparsify_(tiles, "2:4")
    state = {name: value.clone() for name, value in tiles.state_dict().items()}
    tiles.load_state_dict(rows.state_dict())
    assert "row 2:4" in repr(tiles[0])
    assert torch.equal(masks(tiles)["0"], masks(rows)["0"])
    tiles.load_state_dict(state)
    assert "row" not in repr(tiles[0])


def test_copies_and_removal() -> None:
    model = perceptron()
    sparsify_(model, "row 2:4")
    inputs = torch.randn(3, 16)
    output = model(inputs)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(inputs), output)
        assert "row 2:4" in repr(other)
        remove_sparsity_(other)
        assert torch.equal(other(inputs), output)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
def test_masks_that_are_loaded_must_obey_the_rows(kind: Any) -> None:
    model, other = kind(8, 8, 2), kind(8, 8, 2)
    for one in (model, other):
        sparsify_(one, "row 2:4", layers=(kind,))
    load_masks_(other, masks(model))
    assert torch.equal(masks(other)[""], masks(model)[""])
    wrong = {"": masks(model)[""].transpose(0, 1)}
    direction = "row" if kind is nn.Conv1d else "column"
    assert_refused(
        lambda: load_masks_(other, wrong), ValueError, "not row 2:4", f"runs along its {direction}"
    )


def test_what_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3))
    report = sparsify_(model, "row 2:4")
    assert [layer.reason for layer in report.skipped] == ["out_features 3 < m = 4"]
    assert [layer.reason for layer in sparsify_(nn.Sequential(model, nn.Linear(4, 4))).skipped] == [
        "is row 2:4 sparse already",
        "out_features 3 < m = 4",
    ]
