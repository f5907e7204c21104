"""The search of 2:4 masks by tensor operations, which runs on other devices; here on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import tnm_core as tnm
from tests.support import strategies
from tests.support.arrays import DISTRIBUTIONS, make_array
from tests.support.tensors import as_tensor
from tnm_core.torch.tensors.two_of_four import two_of_four_mask

SCORES = ["abs", "square", "identity"]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64", "int8", "int64", "bool"])
@pytest.mark.parametrize("score", SCORES)
def test_two_of_four_by_tensor_operations(score: str, dtype: str, distribution: str) -> None:
    array = make_array((2, 64, 96), dtype, distribution)
    if score == "square" and dtype == "float64":
        # Squares of all bits are the host's; here are those that float64 holds.
        array = make_array((2, 64, 96), "float32", distribution).astype(np.float64)
    expected = tnm.transposable_mask(array, 2, 4, score=score)
    np.testing.assert_array_equal(two_of_four_mask(as_tensor(array), score).numpy(), expected)


def test_two_of_four_on_all_binary_tiles() -> None:
    """Nearly all of these have several best masks."""
    bits = torch.arange(1 << 16)[:, None] >> torch.arange(16) & 1
    tiles = bits.reshape(-1, 4, 4).to(torch.int8)
    wide = tiles.reshape(256, 256, 4, 4).transpose(1, 2).reshape(1024, 1024)
    expected = tnm.transposable_mask(wide.numpy(), 2, 4)
    np.testing.assert_array_equal(two_of_four_mask(wide, "identity").numpy(), expected)
    expected = tnm.transposable_mask(-wide.numpy(), 2, 4, score="identity")
    np.testing.assert_array_equal(two_of_four_mask(-wide, "identity").numpy(), expected)


def test_two_of_four_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.randn(2, 3, 32, 24)
    whole = two_of_four_mask(tensor, "abs")
    monkeypatch.setattr("tnm_core.torch.tensors.two_of_four.PIECE_ENTRIES", 200)
    torch.testing.assert_close(two_of_four_mask(tensor, "abs"), whole)


def _core(values: torch.Tensor, score: Any) -> torch.Tensor:
    return torch.from_numpy(tnm.transposable_mask(values.double().numpy(), 2, 4, score=score))


def _draw(kind: str, shape: tuple[int, int], seed: int) -> torch.Tensor:
    """Make values that tie, nearly tie, cancel, or lie far apart, in float64."""
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(shape, generator=generator, dtype=torch.float64)
    few = torch.randint(-3, 4, shape, generator=generator).double()
    exponents = torch.randint(-60, 60, shape, generator=generator).double()
    return {
        "few": few,
        "bits": few.clamp(0, 1),
        "nearly tied": few + few.roll(5) * 2.0**-50,
        "tied in float32": few * (1 + few.roll(3) * 2.0**-30),
        "far apart": random * exponents.exp2(),
        "negative": -random.abs() * exponents.clamp(max=3).exp2(),
        "mostly zero": random * (few == 3),
        "bfloat16": random.bfloat16().double(),
    }[kind]


KINDS = ["few", "bits", "nearly tied", "tied in float32", "far apart", "negative", "mostly zero"]


@given(
    st.sampled_from([*KINDS, "bfloat16"]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 2**16),
    st.sampled_from(SCORES),
    st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
)
@strategies.settings(max_examples=400)
def test_ties_are_broken_as_the_core_does(
    kind: str, tiles: tuple[int, int], seed: int, score: Any, dtype: torch.dtype
) -> None:
    values = _draw(kind, (4 * tiles[0], 4 * tiles[1]), seed).to(dtype)
    if score == "square" and dtype == torch.float64:
        values = values.float().double()  # longer squares are the host's
    assert torch.equal(two_of_four_mask(values, score), _core(values, score))


def test_views_are_read_as_they_lie() -> None:
    base = torch.randn(3, 40, 64)
    for view in (base.transpose(1, 2), base[:, ::2, 1::2], base[:1].expand(2, 40, 64)):
        assert torch.equal(two_of_four_mask(view, "abs"), _core(view, "abs"))


class _Kernels(TorchDispatchMode):
    """Notes operations that do more than look at memory in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        name = function._schema.name.removeprefix("aten::")
        if not function.is_view and name not in ("empty", "new_empty"):
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def test_a_piece_takes_few_kernels() -> None:
    """Each reads and writes all tiles of a piece: their number is what the search costs."""
    weight = torch.randn(64, 64)
    two_of_four_mask(weight, "abs")
    with _Kernels() as kernels:
        two_of_four_mask(weight, "abs")
    assert len(kernels.seen) <= 24, kernels.seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("score", ["abs", "square"])
def test_nothing_waits_for_the_device(dtype: torch.dtype, score: Any) -> None:
    """Nothing can be read of a tensor on the device meta."""
    weight = torch.empty(2, 64, 32, device="meta", dtype=dtype)
    mask = two_of_four_mask(weight, score)
    assert (mask.device, mask.shape) == (weight.device, weight.shape)
    with pytest.raises((RuntimeError, NotImplementedError)):
        two_of_four_mask(weight, "identity")
