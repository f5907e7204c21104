"""Changed weights are noticed while there is something packed, and nothing is kept beyond that."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref
from typing import Any

import pytest
import torch
from torch.optim import optimizer as torch_optimizer

from tests.support.scaled_steps import DeviceFlag, FusedSgd, device_flag
from tests.support.torch_layers import assert_close, make_layer, reference
from tnm_core.torch import TransposableLinear, repack_after_step, sparsify_
from tnm_core.torch.linear import packed_state
from tnm_core.torch.linear.packed_layer import PACKED
from tnm_core.torch.tensors import changes


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share no hook with layers that other tests keep."""
    monkeypatch.setattr(changes, "_shared", None)


def _hooks() -> int:
    gc.collect()
    return len(torch_optimizer._global_optimizer_pre_hooks)


def _fused_step(layer: TransposableLinear) -> None:
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    layer(torch.randn(4, layer.in_features)).sum().backward()
    optimizer.step()


def _assert_right(layer: TransposableLinear) -> None:
    x = torch.randn(4, layer.in_features)
    assert_close(layer(x), reference(layer, x))


@pytest.mark.usefixtures("alone")
def test_the_hook_on_optimizers_ends_with_the_last_packed_layer() -> None:
    before = _hooks()
    layers = [make_layer(16, 32, backend="emulate", seed=seed) for seed in range(3)]
    assert _hooks() == before + 1, "one for all"
    del layers[0]
    assert _hooks() == before + 1
    for layer in layers:
        _fused_step(layer)
        _assert_right(layer)
    del layer
    layers.clear()
    assert _hooks() == before
    again = make_layer(16, 32, backend="emulate")
    assert _hooks() == before + 1
    _fused_step(again)
    _assert_right(again)


@pytest.mark.usefixtures("alone")
def test_what_is_not_packed_is_not_watched() -> None:
    before = _hooks()
    layer = make_layer(16, 32, backend="dense")
    _assert_right(layer)
    assert _hooks() == before
    layer.backend = "emulate"
    layer.repack()
    assert _hooks() == before + 1
    layer.to("meta")
    assert _hooks() == before


def test_a_step_that_a_scaler_leaves_out_is_not_waited_for() -> None:
    """It counts as a change: packing once too often costs less than asking the device."""
    layer = make_layer(16, 32, backend="emulate")
    optimizer = FusedSgd(layer.parameters(), lr=0.1)
    layer(torch.randn(4, 32)).sum().backward()
    version, weight = layer.weight._version, layer.weight.detach().clone()
    optimizer.found_inf, DeviceFlag.reads = device_flag(1.0), 0
    optimizer.step()
    assert DeviceFlag.reads == 0
    assert torch.equal(layer.weight, weight)
    assert layer.weight._version > version
    _assert_right(layer)


class _Capture:
    """Lets the package believe that a CUDA graph is captured."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.is_on = False
        patch.setattr(changes, "is_capturing", lambda: self.is_on)


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> _Capture:
    return _Capture(monkeypatch)


@pytest.mark.parametrize("repacking", ["none", "hook", "in place", "late hook", "dense", "eager"])
def test_captured_steps_without_repacking_are_told_of(capture: _Capture, repacking: str) -> None:
    backend: Any = {"dense": "dense", "in place": "cpu"}.get(repacking, "emulate")
    layer = make_layer(16, 32, backend=backend)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    if repacking in ("hook", "in place"):
        repack_after_step(optimizer, layer)
    handle = None
    if repacking == "late hook":
        handle = torch_optimizer.register_optimizer_step_post_hook(lambda *_: layer.repack())
    layer(torch.randn(4, 32)).sum().backward()
    capture.is_on = repacking != "eager"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        optimizer.step()
        optimizer.step()
        capture.is_on = False
        optimizer.step()
    if handle is not None:
        handle.remove()
    expected = ["1 packed weights are not packed anew"] * 2 if repacking == "none" else []
    assert len(told) == len(expected)
    for one, words in zip(told, expected, strict=True):
        assert words in str(one.message)
        assert "expected repack_after_step(optimizer, model)" in str(one.message)
    assert len(changes._stepped_in_capture) == 0


def test_captured_steps_of_weights_that_are_not_packed_are_not_told_of(capture: _Capture) -> None:
    """In evaluation their masked form is kept, whose changes are counted as well."""
    model = torch.nn.Sequential(torch.nn.Linear(32, 16))
    sparsify_(model, "2:4")
    x = torch.randn(4, 32)
    with torch.no_grad():
        model.eval()(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()(x).sum().backward()
    version = optimizer.param_groups[0]["params"][-1]._version
    capture.is_on = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()
    assert optimizer.param_groups[0]["params"][-1]._version > version
    assert len(changes._stepped_in_capture) == 0


@pytest.mark.usefixtures("alone")
def test_hooks_of_captured_steps_end_with_the_last_packed_layer(capture: _Capture) -> None:
    before = len(torch_optimizer._global_optimizer_post_hooks)
    layer = make_layer(16, 32, backend="emulate")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    capture.is_on = True
    for _ in range(3):
        with pytest.warns(UserWarning, match="captured in a CUDA graph"):
            optimizer.step()
    assert len(torch_optimizer._global_optimizer_post_hooks) == before + 1
    del layer, optimizer
    gc.collect()
    assert len(torch_optimizer._global_optimizer_post_hooks) == before


def test_nothing_is_kept_of_a_layer_that_is_gone() -> None:
    gc.collect()
    known = len(packed_state._packed_from)
    layer = make_layer(16, 32, backend="emulate")
    _fused_step(layer)
    _assert_right(layer)
    kept = [weakref.ref(one) for one in (layer, layer.weight, layer.packed_values)]
    assert len(packed_state._packed_from) == known + 1
    del layer
    gc.collect()
    assert [one() for one in kept] == [None] * 3
    assert len(packed_state._packed_from) == known


def test_copies_notice_their_own_changes() -> None:
    layer = make_layer(16, 32, backend="emulate")
    twin = copy.deepcopy(layer)
    del layer
    gc.collect()
    for _ in range(2):
        _fused_step(twin)
        _assert_right(twin)


def test_repacking_after_steps_ends_with_the_optimizer() -> None:
    layer = make_layer(16, 32, backend="emulate")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    handle = repack_after_step(optimizer, layer)
    kept = weakref.ref(layer)
    del optimizer, layer
    gc.collect()
    assert kept() is None
    handle.remove()


def test_other_weights_at_the_place_of_former_ones() -> None:
    """Large blocks of memory are used again at once, by weights as little changed in place."""
    layer = make_layer(512, 512, backend="emulate")
    x = torch.randn(4, 512)

    def product(value: int) -> torch.Tensor:
        return torch.func.functional_call(
            layer, {"weight": torch.full((512, 512), float(value))}, (x,)
        )

    for value in range(1, 7):
        dense = torch.where(layer.mask, float(value), 0.0)
        assert_close(product(value), x @ dense.t() + layer.bias)


def test_another_mask_in_place_of_the_mask() -> None:
    layer = make_layer(16, 32, backend="emulate")
    for _ in range(2):
        layer.mask = layer.mask.logical_not()
        _assert_right(layer)


@pytest.fixture
def fresh_compiler() -> Any:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("grad", [True, False])
def test_compiled_layers_refuse_what_changed(grad: bool) -> None:
    layer = make_layer(16, 32, backend="emulate")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 32)
    with torch.set_grad_enabled(grad):
        assert torch.equal(compiled(x), layer(x))
        with torch._dynamo.config.patch(error_on_recompile=True):
            with torch.no_grad():
                layer.weight.mul_(2)
            with pytest.raises(RuntimeError, match="weight or mask changed after they were packed"):
                compiled(x)
            layer.repack()
            assert_close(compiled(x), reference(layer, x))
            layer.mask.logical_not_()
            with pytest.raises(RuntimeError, match="weight or mask changed after they were packed"):
                compiled(x)
            layer.repack()
            assert_close(compiled(x), reference(layer, x))


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("backend", ["cpu", "emulate"])
@pytest.mark.parametrize("grad", [True, False])
def test_compiled_layers_look_into_what_was_cloned(grad: bool, backend: Any) -> None:
    """Nothing is known of a clone but its content, which is compared once."""
    layer = make_layer(16, 32, backend=backend)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 32)
    with torch.set_grad_enabled(grad):
        compiled(x)
        for name in PACKED:
            setattr(layer, name, getattr(layer, name).clone())
        assert_close(compiled(x), reference(layer, x))
        with torch.no_grad():
            layer.weight.mul_(2)
        with pytest.raises(RuntimeError, match="weight or mask changed after they were packed"):
            compiled(x)
        for name in PACKED:
            setattr(layer, name, getattr(layer, name).clone())
        with pytest.raises(RuntimeError, match="was moved or cloned, and is not the present"):
            compiled(x)
        layer.repack()
        assert_close(compiled(x), reference(layer, x))


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("name", PACKED)
def test_each_packed_tensor_is_looked_into(name: str) -> None:
    layer = make_layer(16, 32, backend="emulate")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 32)
    compiled(x)
    layer.packed_values = layer.packed_values.clone()
    wrong = getattr(layer, name)
    wrong.view(torch.uint8)[0, 0] ^= 1
    with pytest.raises(RuntimeError, match="was moved or cloned"):
        compiled(x)


@pytest.mark.usefixtures("fresh_compiler")
def test_clones_with_nan_are_recognised() -> None:
    layer = make_layer(16, 32, backend="emulate")
    with torch.no_grad():
        layer.weight.fill_(float("nan"))
    layer.repack()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    layer.packed_values = layer.packed_values.clone()
    assert compiled(torch.ones(4, 32)).isnan().all()


@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_layers_notice_fused_optimizers() -> None:
    layer = make_layer(16, 32, backend="emulate")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    x = torch.randn(4, 32)
    compiled(x).sum().backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="as repack_after_step"):
        compiled(x)
    repack_after_step(optimizer, layer)
    optimizer.step()
    assert_close(compiled(x), reference(layer, x))


def _closure(optimizer: torch.optim.Optimizer, model: Any, x: torch.Tensor) -> Any:
    def evaluate() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()
        return loss

    return evaluate


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("by_name", [False, True])
def test_closures_run_compiled_layers_as_they_were(by_name: bool) -> None:
    layer = make_layer(16, 32, backend="emulate")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    repack_after_step(optimizer, layer)
    x = torch.randn(4, 32)
    compiled(x)
    for _ in range(3):
        closure = _closure(optimizer, compiled, x)
        if by_name:
            optimizer.step(closure=closure)
        else:
            optimizer.step(closure)
    assert_close(compiled(x), reference(layer, x))


@pytest.mark.parametrize("backend", ["cpu", "emulate"])
@pytest.mark.parametrize("kind", ["fused", "lbfgs"])
@pytest.mark.parametrize("repacks", [False, True])
def test_what_a_step_changes_behind_its_closure_is_packed(
    backend: str, kind: str, repacks: bool
) -> None:
    layer = make_layer(16, 32, backend=backend)
    if kind == "fused":
        optimizer: Any = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    else:
        optimizer = torch.optim.LBFGS(layer.parameters(), lr=0.1, max_iter=3)
    if repacks:
        repack_after_step(optimizer, layer)
    x = torch.randn(4, 32)
    for _ in range(2):
        optimizer.step(_closure(optimizer, layer, x))
        with torch.no_grad():
            assert_close(layer(x), reference(layer, x))


@pytest.mark.parametrize("backend", ["cpu", "emulate"])
@pytest.mark.parametrize("first", ["bfloat16", "float32"])
def test_graphs_keep_what_was_packed_for_them_in_another_dtype(backend: str, first: str) -> None:
    x = torch.randn(4, 64, requires_grad=True)

    def output(layer: Any, dtype: str) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            return layer(x).float()

    layer, alone = (make_layer(64, 64, backend=backend) for _ in range(2))
    second = "float32" if first == "bfloat16" else "bfloat16"
    (output(layer, first).sum() + output(layer, second).sum()).backward()
    found, x.grad = x.grad, None
    for dtype in (first, second):
        output(alone, dtype).sum().backward()
    assert found is not None
    assert torch.equal(found, x.grad)
    for one, two in zip(layer.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize("backend", ["cpu", "dense", "emulate"])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_operator_keeps_the_rules_of_operators(backend: str, transposed: bool) -> None:
    layer = make_layer(16, 32, backend=backend)
    packed = [layer.packed_values, layer.packed_indices]
    packed += [layer.packed_t_values, layer.packed_t_indices]
    x = torch.randn(4, 16 if transposed else 32, requires_grad=True)
    bias = None if transposed else layer.bias
    weight, mask = layer.weight, layer.mask
    options = (2, 4, True, backend, transposed, False, "out_in")
    torch.library.opcheck(
        torch.ops.tnm_core.masked_product.default, (x, weight, mask, bias, *packed, *options)
    )
