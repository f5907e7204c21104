"""The back end "cpu": where it is taken, how it is packed, and that steps pack once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.torch_layers import assert_close, make_layer, reference
from tnm_core import products
from tnm_core.pattern import Pattern
from tnm_core.torch import (
    DynamicMask,
    Speed,
    SpeedTable,
    StaticMask,
    TransposableLinear,
    repack_after_step,
    to_sparse_linear_,
)
from tnm_core.torch.linear import packed_buffers
from tnm_core.torch.linear.backends import choose_backend, why_dense_is_faster
from tnm_core.torch.linear.linear_spec import LinearSpec


def _spec(
    sides: tuple[int, int] = (64, 128), pattern: str = "2:4", dtype: torch.dtype = torch.float32
) -> LinearSpec:
    n, m = map(int, pattern.split(":"))
    return LinearSpec(*sides, Pattern(n, m), torch.device("cpu"), dtype)


def test_where_auto_takes_it() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for pattern in ("2:4", "16:32", "1:8"):
            assert choose_backend("auto", _spec(pattern=pattern, dtype=dtype)).backend == "cpu"
    for spec, told in (
        (_spec((63, 128)), "63 x 128, expected sides of at least 64"),
        (_spec(pattern="3:4"), "density 0.75, expected at most 0.50"),
        (_spec(dtype=torch.float64), "cpu cannot: products are in float64, expected float32"),
    ):
        choice = choose_backend("auto", spec)
        assert choice.backend == "dense"
        assert told in choice.reason


def test_the_rule_knows_tokens() -> None:
    small, large = (64, 64), (4096, 4096)
    for tokens in (None, 2, 31):
        assert why_dense_is_faster(small, 0.5, torch.float32, tokens) is None
        assert "density 0.51" in str(why_dense_is_faster(small, 0.51, torch.float32, tokens))
    assert why_dense_is_faster(small, 0.75, torch.float32, 32) is None
    assert "one token" in str(why_dense_is_faster(small, 0.5, torch.float32, 1))
    assert why_dense_is_faster(large, 0.5, torch.float32, 1) is None
    assert why_dense_is_faster(small, 0.5, torch.float32, 1, together=1 << 23) is None
    told = str(why_dense_is_faster(small, 0.5, torch.float32, 1, together=1 << 22))
    assert "4194304 entries in all layers, with one token, expected at least 8388608" in told
    assert why_dense_is_faster(small, 0.5, torch.bfloat16, 1) is None


def test_measurements_overrule_what_is_expected() -> None:
    def table(spec: LinearSpec, speedup: float) -> SpeedTable:
        return SpeedTable([Speed("cpu", "float32", *spec.described[2:4], 8, "2:4", "cpu", speedup)])

    slow, small = _spec(), _spec((32, 32))
    assert choose_backend("auto", slow, table(slow, 0.9)).backend == "dense"
    assert choose_backend("auto", small, table(small, 1.2)).backend == "cpu"
    other = SpeedTable([Speed("cpu", "float32", 64, 128, 8, "2:4", "emulate", 0.1)])
    assert choose_backend("auto", slow, other).backend == "cpu"


def test_what_it_cannot_multiply_is_said() -> None:
    layer = make_layer(64, 64, backend="cpu", dtype=torch.float64)
    assert layer.active_backend is None
    with pytest.raises(ValueError, match=r"float64, expected float32.*compute_dtype"):
        layer(torch.randn(3, 64).double())
    layer.float()
    assert layer.active_backend == "cpu"
    x = torch.randn(3, 64)
    assert_close(layer(x), reference(layer, x))


def test_measuring_while_converting() -> None:
    model = nn.Sequential(nn.Linear(64, 96), nn.Linear(96, 64))
    table = SpeedTable()
    report = to_sparse_linear_(model, "2:4", tokens=8, speeds=table)
    assert len(table) == 2
    for speed in table:
        assert (speed.backend, speed.device, speed.tokens) == ("cpu", "cpu", 8)
    for layer in report.converted.values():
        assert "x the dense speed at 8 tokens, measured" in layer.reason


# ---- what is packed ------------------------------------------------------------


def test_buffers_hold_the_masked_weight_and_share_its_memory() -> None:
    layer = make_layer(48, 80, backend="cpu")
    masked = layer.masked_weight().detach()
    for values, matrix in ((layer.packed_values, masked), (layer.packed_t_values, masked.t())):
        assert values.dtype == torch.uint8
        described = products.describe_buffer(values.numpy())
        assert (described.rows, described.columns) == matrix.shape
        found, mask = packed_buffers.unpack_matrix(values)
        assert torch.equal(found, matrix)
        assert torch.equal(mask, matrix != 0)
    assert layer.packed_indices.numel() == layer.packed_t_indices.numel() == 0


def _calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is packed whole and what is filled in place, from now on."""
    calls: list[str] = []

    def noting(name: str) -> None:
        function: Callable[..., Any] = getattr(products, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return function(*arguments, **options)

        monkeypatch.setattr(products, name, call)

    noting("pack_buffer")
    noting("update_buffer_")
    return calls


def _step(layer: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    layer(torch.randn(4, layer.in_features)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


UPDATED, PACKED = ["update_buffer_"] * 2, ["pack_buffer"] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sides", [(1, 1), (5, 3), (33, 65), (64, 256)])
def test_equal_matrices_are_equal_bytes(sides: tuple[int, int], dtype: torch.dtype) -> None:
    """Whatever was in the memory before, and whether values were written later."""
    weight, mask = torch.randn(sides).to(dtype), torch.rand(sides) < 0.5
    packed = packed_buffers.pack_matrix(weight, mask)
    for junk in range(1, 9):
        # Freed at once, so that the next buffer of this size finds it.
        np.full(packed.numel(), junk, dtype=np.uint8)
        again = packed_buffers.pack_matrix(torch.zeros_like(weight), mask)
        packed_buffers.update_matrix_(again, weight)
        assert torch.equal(again, packed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_writes_values_in_place(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    layer = make_layer(32, 64, backend="cpu", dtype=dtype)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    repack_after_step(optimizer, layer)
    memory = layer.packed_values.data_ptr(), layer.packed_t_values.data_ptr()
    calls = _calls(monkeypatch)
    layer(torch.randn(4, 64).to(dtype)).square().sum().backward()
    optimizer.step()
    assert calls == UPDATED
    x = torch.randn(4, 64).to(dtype).requires_grad_()
    assert_close(layer(x), reference(layer, x))
    layer(x).sum().backward()
    assert_close(x.grad, layer.masked_weight().detach().double().sum(0).expand(4, -1))
    assert memory == (layer.packed_values.data_ptr(), layer.packed_t_values.data_ptr())
    assert calls == UPDATED, "nothing changed since"


@pytest.mark.parametrize("repacks_first", [False, True])
def test_a_refresh_packs_once(monkeypatch: pytest.MonkeyPatch, repacks_first: bool) -> None:
    layer = make_layer(32, 64, backend="cpu")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    if repacks_first:
        repack_after_step(optimizer, layer)
    dynamic = DynamicMask(every=2).attach(nn.ModuleDict({"up": layer}), optimizer)
    if not repacks_first:
        repack_after_step(optimizer, layer)
    calls = _calls(monkeypatch)
    _step(layer, optimizer)
    _step(layer, optimizer)
    assert dynamic.statistics[-1].flip_rate > 0
    if not repacks_first:
        assert calls == [*UPDATED, *PACKED]
    x = torch.randn(4, 64)
    assert_close(layer(x), reference(layer, x))
    assert calls.count("pack_buffer") == 2


def test_static_masks_update_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make_layer(32, 64, backend="cpu")
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    StaticMask().attach(nn.ModuleDict({"up": layer}), optimizer)
    calls = _calls(monkeypatch)
    _step(layer, optimizer)
    assert calls == UPDATED
    x = torch.randn(4, 64)
    assert_close(layer(x), reference(layer, x))


def test_the_transpose_is_packed_where_input_gradients_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = TransposableLinear.from_linear(nn.Linear(64, 32).eval(), backend="cpu")
    x = torch.randn(4, 64)
    with torch.no_grad():
        layer(x.clone().requires_grad_())
    layer(x)
    assert layer.packed_t_values.numel() == 0, "no gradient by the input"
    x.requires_grad_()
    layer(x).sum().backward()
    assert_close(x.grad, layer.masked_weight().detach().sum(0).expand(4, -1))
    assert layer.packed_t_values.numel()
    other = TransposableLinear.from_linear(nn.Linear(64, 32).eval(), backend="cpu")
    other.train()
    assert other.packed_t_values.numel(), "compiled training relies on it"
    calls = _calls(monkeypatch)
    other.eval().train()
    assert calls == []


def test_graphs_of_evaluation_look_into_clones_without_a_transpose() -> None:
    torch._dynamo.reset()
    layer = TransposableLinear.from_linear(nn.Linear(32, 16).eval(), backend="cpu")
    assert layer.packed_t_values.numel() == 0
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 32)
    with torch.no_grad():
        compiled(x)
        layer.packed_values = layer.packed_values.clone()
        assert_close(compiled(x), reference(layer, x))
        layer.weight.mul_(2)
        layer.packed_values = layer.packed_values.clone()
        with pytest.raises(RuntimeError, match="was moved or cloned"):
            compiled(x)


def test_graphs_of_evaluation_say_that_the_transpose_is_not_packed() -> None:
    layer = TransposableLinear.from_linear(nn.Linear(64, 32).eval(), backend="cpu")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 64)
    assert_close(compiled(x), reference(layer, x))
    with pytest.raises(RuntimeError, match=r"expected train\(\), or one forward pass with grad"):
        compiled(x.requires_grad_()).sum().backward()
    layer(x)
    compiled(x).sum().backward()
    assert x.grad is not None


def test_values_written_between_forward_and_backward_are_an_error() -> None:
    layer = make_layer(32, 64, backend="cpu")
    layer.weight.requires_grad_(False)
    loss = layer(torch.randn(4, 64, requires_grad=True)).sum()
    layer.weight.data.mul_(2)
    layer.repack()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_training_when_compiled() -> None:
    model = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64))
    to_sparse_linear_(model, "2:4", backend="cpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    repack_after_step(optimizer, model)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(3):
            x = torch.randn(6, 64)
            expected = model(x).detach()
            found = compiled(x)
            assert_close(found, expected)
            found.square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
