"""Masks of tensors: those of the NumPy API, bit for bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tnm_core as tnm
from tests.support.arrays import DTYPES, make_array
from tests.support.tensors import as_tensor
from tests.torch.refusals import assert_refused
from tnm_core import Pattern
from tnm_core.torch import transposable_mask
from tnm_core.torch.tensors import finite_transposable_mask, transfer
from tnm_core.torch.tensors.host import HostSolver, array_of
from tnm_core.torch.tensors.pieces import pieces
from tnm_core.torch.tensors.transfer import (
    CudaLane,
    are_finite,
    solve_on_device,
    solve_through_host,
    solve_two_of_four,
)

SCORES = ["abs", "square", "identity"]


def _assert_same(mask: Any, expected: np.ndarray) -> None:
    assert mask.dtype == torch.bool
    assert mask.is_contiguous()
    np.testing.assert_array_equal(mask.numpy(), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("score", SCORES)
def test_every_dtype(dtype: str, score: str) -> None:
    array = make_array((37, 50), dtype)
    before = array.copy()
    for n, m in ((2, 4), (3, 8)):
        _assert_same(
            transposable_mask(as_tensor(array), n, m, score=score),
            tnm.transposable_mask(array, n, m, score=score),
        )
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz"])
def test_float8_as_float32(name: str) -> None:
    tensor = torch.randn(16, 24).to(getattr(torch, name))
    expected = tnm.transposable_mask(tensor.float().numpy(), 2, 4)
    _assert_same(transposable_mask(tensor, 2, 4), expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64", "int8", "bool"])
def test_cpu_tensors_are_read_in_place(dtype: str) -> None:
    tensor = as_tensor(make_array((8, 12), dtype))
    for view in (tensor, tensor.t(), tensor[::2, 1::3], torch.nn.Parameter(tensor, False)):
        array = array_of(view)
        assert array.__array_interface__["data"][0] == view.data_ptr()
        assert array.shape == tuple(view.shape)


@pytest.mark.parametrize("method", ["optimal", "two_approximation", "greedy"])
def test_strides_gradients_batches_and_methods(method: str) -> None:
    base = torch.randn(3, 2, 40, 66, requires_grad=True)
    views = {
        "whole": base,
        "transposed": base.transpose(-1, -2),
        "sliced": base[:, 1, ::2, 3::3],
        "expanded": base[:1, :1].expand(2, 2, 40, 66),
        "computed": base * 2,
        "flipped_sign": torch._neg_view(base.detach()),
    }
    for name, view in views.items():
        expected = tnm.transposable_mask(view.detach().clone().numpy(), 4, 8, method=method)
        mask = transposable_mask(view, 4, 8, method=method, threads=2)
        assert not mask.requires_grad, name
        _assert_same(mask, expected)


def test_axes() -> None:
    weight = torch.randn(16, 12, 3, 3)
    mask = transposable_mask(weight, 2, 4, axes=(0, 1))
    for r, s in itertools.product(range(3), range(3)):
        expected = tnm.transposable_mask(weight[:, :, r, s].numpy(), 2, 4)
        np.testing.assert_array_equal(mask[:, :, r, s].numpy(), expected)
    assert mask.is_contiguous()
    torch.testing.assert_close(transposable_mask(weight, 2, 4, axes=(-4, -3)), mask)


@pytest.mark.parametrize("shape", [(0, 8), (8, 0), (0, 4, 4), (3, 3), (1, 1)])
def test_empty_and_small(shape: tuple[int, ...]) -> None:
    expected = tnm.transposable_mask(np.ones(shape), 2, 4)
    _assert_same(transposable_mask(torch.ones(shape), 2, 4), expected)


@pytest.mark.parametrize("shape", [(8, 8), (9, 8), (8, 11), (2, 13, 15), (3, 20), (20, 2), (0, 9)])
def test_edges_are_left_to_the_host(shape: tuple[int, ...]) -> None:
    tensor, solve = torch.randn(shape), HostSolver(Pattern(2, 4), "abs")
    expected = transposable_mask(tensor, 2, 4)
    torch.testing.assert_close(solve_two_of_four(tensor, solve), expected)


def test_what_is_known_to_be_finite_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(tensor: Any) -> Any:
        raise AssertionError("this would wait for the device")

    tensor = torch.randn(8, 12)
    expected = transposable_mask(tensor, 2, 4)
    monkeypatch.setattr(transfer, "are_finite", look)
    known = HostSolver(Pattern(2, 4), "abs", known_finite=True)
    assert torch.equal(solve_on_device(tensor, known), expected)
    assert torch.equal(finite_transposable_mask(tensor, Pattern(2, 4)), expected)
    with pytest.raises(AssertionError, match="would wait"):
        solve_on_device(tensor, HostSolver(Pattern(2, 4), "abs"))


class _CountingLane(CudaLane):
    """Stands in for the copies between device and host, and notes their order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._fetched = 0

    def fetch(self, piece: Any) -> tuple[Any, Callable[[], None]]:
        number = self._fetched
        self._fetched += 1
        self.events.append(f"fetch {number}")
        return piece.clone(), lambda: self.events.append(f"wait {number}")

    def deliver(self, host: Any, target: Any) -> None:
        self.events.append("deliver")
        target.copy_(host)

    def close(self) -> None:
        self.events.append("close")


def test_pieces_travel_while_others_are_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tnm_core.torch.tensors.transfer.PIECE_ENTRIES", 8 * 40)
    tensor, lane = torch.randn(30, 40), _CountingLane()
    mask = solve_through_host(tensor, HostSolver(Pattern(4, 8), "abs"), lane)
    torch.testing.assert_close(mask, transposable_mask(tensor, 4, 8))
    assert lane.events[:5] == ["fetch 0", "fetch 1", "wait 0", "deliver", "fetch 2"]
    assert lane.events[-1] == "close"
    assert lane.events.count("deliver") == 4


@pytest.mark.parametrize(
    ("shape", "m", "entries"),
    [
        ((64, 32), 4, 300),
        ((3, 2, 10, 7), 4, 1),
        ((5, 16, 16), 16, 10**6),
        ((0, 4), 4, 9),
        ((4, 4, 4, 4), 4, 64),
    ],
)
def test_pieces_cover_everything_once(shape: tuple[int, ...], m: int, entries: int) -> None:
    seen = np.zeros(shape, dtype=int)
    for here in pieces(shape, m, entries):
        part = seen[here]
        assert part.size <= max(entries, m * shape[-1])
        seen[here] += 1
        assert isinstance(here[-1], slice)
        assert here[-1].start % m == 0
    assert (seen == 1).all()


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "float8_e5m2"])
def test_all_finite(name: str) -> None:
    tensor = torch.ones(8, 8).to(getattr(torch, name))
    assert are_finite(tensor)
    for bad in (float("nan"), float("inf"), -float("inf")):
        spoilt = tensor.float()
        spoilt[3, 4] = bad
        assert not are_finite(spoilt.to(tensor.dtype))
    assert are_finite(torch.full((4, 4), 7))
    assert are_finite(torch.full((4, 4), 1e200, dtype=torch.float64))


# Bad input.


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (lambda: np.ones((4, 4)), "ndarray"),
        (lambda: [[1.0] * 4] * 4, "list"),
        (lambda: torch.ones(4, 4, dtype=torch.complex64), "complex64"),
        (lambda: torch.empty(4, 4, dtype=torch.uint4), "uint4"),
        (lambda: torch.empty(4, 4, dtype=torch.float4_e2m1fn_x2), "float4"),
        (lambda: torch.ones(4, 4).to_sparse(), "to_dense"),
    ],
)
def test_wrong_tensors(tensor: Callable[[], Any], told: str) -> None:
    assert_refused(lambda: transposable_mask(tensor(), 2, 4), TypeError, told)


def test_no_data() -> None:
    meta = torch.empty(4, 4, device="meta")
    assert_refused(lambda: transposable_mask(meta, 2, 4), ValueError, "meta")


def test_too_few_axes() -> None:
    assert_refused(lambda: transposable_mask(torch.ones(4), 2, 4), ValueError, 1, 2)


@pytest.mark.parametrize("axes", [(0, 0), (0, -2), (0, 2), (-3, 0)])
def test_axes_out_of_range(axes: tuple[int, int]) -> None:
    assert_refused(lambda: transposable_mask(torch.ones(4, 4), 2, 4, axes=axes), ValueError, axes)


@pytest.mark.parametrize("axes", [1, (0,), (0, 1, 2), (0.0, 1), None])
def test_axes_of_wrong_type(axes: Any) -> None:
    assert_refused(lambda: transposable_mask(torch.ones(4, 4), 2, 4, axes=axes), TypeError, axes)


def test_arguments_are_those_of_the_numpy_api() -> None:
    tensor = torch.ones(4, 4)
    assert_refused(lambda: transposable_mask(tensor, 5, 4), ValueError, 5)
    assert_refused(lambda: transposable_mask(tensor, 2.0, 4), TypeError, 2.0)
    assert_refused(lambda: transposable_mask(tensor, 2, 4, score="l1"), ValueError, "l1")
    assert_refused(lambda: transposable_mask(tensor, 2, 4, method="best"), ValueError, "best")
    assert_refused(lambda: transposable_mask(tensor, 2, 4, threads=0), ValueError, "threads")


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_first_score_that_is_not_finite(dtype: str) -> None:
    tensor = torch.ones(9, 9, dtype=getattr(torch, dtype))
    tensor[8, 3] = float("nan")
    assert_refused(lambda: transposable_mask(tensor, 2, 4), ValueError, "8, 3", "nan")
