"""Tensors that NumPy cannot view, given to functions of arrays: the error names what takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tnm_core as tnm
from tnm_core import plots

WEIGHT = torch.randn(8, 8)
TENSORS = {
    "Tensor, torch.bfloat16": WEIGHT.bfloat16(),
    "Parameter that requires grad, torch.float32": torch.nn.Parameter(WEIGHT),
    "Parameter that requires grad, torch.bfloat16": torch.nn.Parameter(WEIGHT.bfloat16()),
    "Tensor, torch.float32, torch.sparse_coo": WEIGHT.to_sparse(),
}
MASK = np.eye(8, dtype=bool)
PACKED = tnm.pack(np.eye(8, dtype=np.float32), MASK)
_, PROOF = tnm.transposable_mask(np.eye(8), "1:4", return_certificate=True)
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "array:tnm_core.torch.transposable_mask": lambda x: tnm.transposable_mask(x, "2:4"),
    "array:tnm_core.torch.nm_mask": lambda x: tnm.nm_mask(x, "2:4"),
    "weights:tnm_core.torch.pack_for_inference_": tnm.pack,
    "weights:tnm_core.torch.TransposableLinear": PACKED.update_,
    "x:tnm_core.torch.PackedLinear": lambda x: tnm.matmul(x, PACKED.T),
    "bias:": lambda x: tnm.matmul(np.eye(8, dtype=np.float32), PACKED.T, bias=x),
    "array:": lambda x: tnm.compress(x, MASK, "1:4"),
    "mask:": lambda x: tnm.check_mask(x, "1:4"),
    "mask: ": lambda x: tnm.compress(MASK, x, "1:4"),
    "mask:  ": lambda x: PROOF.verify(np.eye(8), x),
    "weights:": lambda x: plots.plot_mask(MASK, "1:4", weights=x),
}


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_error_names_what_takes_tensors(kind: str, function: str) -> None:
    tensor = TENSORS[kind]
    name, _, other = function.strip().partition(":")
    with pytest.raises(TypeError) as caught:
        FUNCTIONS[function](tensor)
    told = str(caught.value)
    assert told.startswith(f"{name} is a torch {kind}, on cpu, expected an array")
    assert other.strip() in told
    assert "\n" not in told
    way = told.rpartition("with ")[2]
    assert isinstance(eval(way, {name: tensor}), np.ndarray)


@pytest.mark.parametrize("name", ["transposable_mask", "nm_mask"])
@pytest.mark.parametrize("kind", list(TENSORS)[:3])
def test_what_is_named_takes_them(kind: str, name: str) -> None:
    mask = getattr(tnm.torch, name)(TENSORS[kind], "2:4")
    assert mask.sum() == 32


def test_tensors_without_data() -> None:
    with pytest.raises(TypeError, match="on the device meta, which holds no data"):
        tnm.transposable_mask(WEIGHT.to("meta"), "2:4")


def test_tensors_that_numpy_views_are_taken() -> None:
    expected = tnm.transposable_mask(WEIGHT.numpy(), "2:4")
    np.testing.assert_array_equal(tnm.transposable_mask(WEIGHT, "2:4"), expected)
