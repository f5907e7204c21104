"""Row-wise masks of tensors: those of the naive reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import tnm_core as tnm
from tests.support import references
from tests.support.arrays import DTYPES, make_array
from tests.torch.refusals import assert_refused
from tnm_core import Pattern
from tnm_core.torch import nm_mask, transposable_mask
from tnm_core.torch.tensors.host import HostSolver
from tnm_core.torch.tensors.transfer import solve_on_device


def _tensor(array: np.ndarray) -> Any:
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_every_dtype(dtype: str, axis: int) -> None:
    array = make_array((13, 22), dtype)
    expected = references.nm_mask(abs(array.astype(np.float64)), 2, 4, axis)
    mask = nm_mask(_tensor(array), 2, 4, axis=axis)
    assert mask.dtype == torch.bool
    assert mask.is_contiguous()
    np.testing.assert_array_equal(mask.numpy(), expected)


@pytest.mark.parametrize("axis", range(-4, 4))
def test_axes_strides_and_gradients(axis: int) -> None:
    base = torch.randn(8, 5, 9, 4, requires_grad=True)
    for view in (base, base.transpose(0, 2), base[::2, :, 1::3], base * 2):
        expected = references.nm_mask(abs(view.detach().numpy()), 3, 8, axis)
        mask = nm_mask(view, 3, 8, axis=axis, threads=2)
        assert not mask.requires_grad
        np.testing.assert_array_equal(mask.numpy(), expected)


@pytest.mark.parametrize("score", ["abs", "square", "identity"])
def test_scores(score: Any) -> None:
    tensor = torch.randn(6, 10)
    expected = tnm.nm_mask(tensor.numpy(), 2, 4, score=score)
    np.testing.assert_array_equal(nm_mask(tensor, 2, 4, score=score).numpy(), expected)


def test_float8_as_float32() -> None:
    tensor = torch.randn(16, 24).to(torch.float8_e4m3fn)
    expected = tnm.nm_mask(tensor.float().numpy(), 2, 4)
    np.testing.assert_array_equal(nm_mask(tensor, 2, 4).numpy(), expected)


@pytest.mark.parametrize("shape", [(11,), (0, 8), (8, 0), (3,), (2, 3, 7)])
def test_few_axes_and_entries(shape: tuple[int, ...]) -> None:
    tensor = torch.randn(shape)
    expected = torch.from_numpy(references.nm_mask(abs(tensor.numpy()), 2, 4, -1))
    assert torch.equal(nm_mask(tensor, 2, 4), expected)
    # The way of tensors on other devices.
    solve = HostSolver(Pattern(2, 4, transposable=False), "abs")
    assert torch.equal(solve_on_device(tensor, solve), expected)


@pytest.mark.parametrize("pattern", ["2:4", "2 : 4", "row 2:4", (2, 4), Pattern(2, 4)])
def test_every_form_of_a_pattern(pattern: Any) -> None:
    tensor = torch.randn(8, 8)
    assert torch.equal(nm_mask(tensor, pattern), nm_mask(tensor, 2, 4))
    if pattern == "row 2:4":
        assert_refused(lambda: transposable_mask(tensor, pattern), ValueError, "nm_mask")
    else:
        assert torch.equal(transposable_mask(tensor, pattern), transposable_mask(tensor, 2, 4))


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: nm_mask(np.ones((4, 4)), 2, 4), TypeError, "tnm_core.nm_mask"),  # type: ignore[arg-type]
        (lambda: nm_mask(torch.tensor(1.0), 2, 4), ValueError, "at least 1"),
        (lambda: nm_mask(torch.ones(4, device="meta"), 2, 4), ValueError, "meta"),
        (lambda: nm_mask(torch.ones(4, 4), 2, 4, axis=2), ValueError, "axis"),
        (lambda: nm_mask(torch.ones(4, 4), 5, 4), ValueError, "5"),
        (lambda: nm_mask(torch.ones(4, 4), "2:4", 4), TypeError, "'2:4'"),
        (lambda: nm_mask(torch.ones(4, 4), 2), TypeError, "m is missing"),
        (lambda: nm_mask(torch.full((4, 4), float("nan")), 2, 4), ValueError, "nan"),
        (lambda: nm_mask(torch.ones(4, 4), 2, 4, threads=0), ValueError, "threads"),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], told: str) -> None:
    assert_refused(call, error, told)
