"""Values that a mask keeps, against `torch.where`, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.autograd import forward_ad

from tnm_core.torch.tensors import drop, fade, keep, keep_

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# One goes by torch.where, the other by bits.
SHAPES = ((8, 8), (256, 256))
SPECIAL = (float("nan"), float("inf"), -float("inf"), -0.0, 0.0, 1e-40, -1e-7)


def values_of(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(0)
    values = torch.randn(shape)
    values.view(-1)[: 4 * len(SPECIAL)] = torch.tensor(SPECIAL).repeat(4)
    return values.to(dtype)


def mask_of(shape: tuple[int, ...]) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.rand(shape) < 0.5


def assert_same_bits(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.dtype == expected.dtype
    as_bits = BITS[found.itemsize]
    torch.testing.assert_close(found.view(as_bits), expected.view(as_bits), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_as_where(shape: tuple[int, int], dtype: torch.dtype) -> None:
    values, mask = values_of(shape, dtype), mask_of(shape)
    assert_same_bits(keep(values, mask), torch.where(mask, values, 0.0))
    assert_same_bits(drop(values, mask), torch.where(mask, 0.0, values))
    assert_same_bits(keep_(values.clone(), mask), values.masked_fill(~mask, 0.0))
    assert_same_bits(keep(values.t(), mask), torch.where(mask, values.t(), 0.0))
    apart = values[:, ::2], mask[:, 1::2]
    assert_same_bits(keep(*apart), torch.where(apart[1], apart[0], 0.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("leak", [0.0, 0.3, 1.0])
def test_fading_multiplies_what_is_dropped(leak: float, dtype: torch.dtype) -> None:
    values, mask, share = values_of((256, 256), dtype), mask_of((256, 256)), torch.tensor(leak)
    expected = torch.where(mask, values, values * share.to(dtype))
    torch.testing.assert_close(fade(values, mask, share), expected, rtol=0, atol=0, equal_nan=True)


def test_other_dtypes_shapes_and_kinds_go_by_where() -> None:
    mask = mask_of((256, 256))
    whole = torch.arange(256 * 256).view(256, 256)
    assert keep(whole, mask).equal(torch.where(mask, whole, 0.0))
    assert (
        keep(values_of((256,)), mask)
        .nan_to_num()
        .equal(torch.where(mask, values_of((256,)), 0.0).nan_to_num())
    )
    with torch.device("meta"):
        assert keep(torch.empty(256, 256), torch.ones(256, 256).bool()).is_meta


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is:DeprecationWarning")  # torch's own use
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_kept_as_the_values_are(shape: tuple[int, int]) -> None:
    values, mask = torch.randn(shape, dtype=torch.float64, requires_grad=True), mask_of(shape)
    given = values_of(shape, torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(keep(values, mask), values, given, create_graph=True)
    assert_same_bits(gradient, torch.where(mask, given, 0.0))
    (again,) = torch.autograd.grad(gradient, given, torch.ones(shape, dtype=torch.float64))
    assert again.equal(mask.double())
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(values.detach(), given.detach())
        assert_same_bits(forward_ad.unpack_dual(keep(dual, mask)).tangent, gradient.detach())


@pytest.mark.parametrize("method", [keep, drop])
def test_transforms_of_functions(
    method: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    mask, several = mask_of((256, 256)), torch.randn(3, 256, 256)
    found = torch.vmap(lambda one: method(one, mask))(several)
    assert found.equal(torch.stack([method(one, mask) for one in several]))
    slope = torch.func.grad(lambda one: method(one, mask).square().sum())(several[0])
    assert slope.equal(2 * method(several[0], mask))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.* is:DeprecationWarning")
def test_a_trace_holds_no_python() -> None:
    mask, values = mask_of((256, 256)), torch.randn(256, 256)
    traced = torch.jit.trace(lambda one: keep(one, mask), values)
    assert traced(2 * values).equal(keep(2 * values, mask))
    assert "aten::where" in str(traced.graph)


def test_writing_in_place_is_counted_and_leaves_the_mask() -> None:
    values, mask = torch.randn(256, 256), mask_of((256, 256))
    before, kept = values._version, mask.clone()
    keep_(values, mask)
    assert values._version > before
    keep(values, mask)
    assert mask.equal(kept)
