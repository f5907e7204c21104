"""Products and gradients of TransposableLinear against a float64 masked product."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import tnm_core as tnm
from tests.support.torch_layers import EXACT, assert_close, make_layer, reference
from tnm_core import Pattern
from tnm_core.torch import TransposableLinear, repack_, repack_after_step, to_sparse_linear_
from tnm_core.torch.linear import products
from tnm_core.torch.linear.backends import BACKENDS

BACKENDS_HERE = ["cpu", "dense", "emulate"]
PATTERNS = [(2, 4), (1, 4), (4, 8), (8, 16), (3, 5), (4, 4)]


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_products_and_gradients(backend: str, n: int, m: int) -> None:
    layer = make_layer(48, 80, n, m, backend=backend, dtype=EXACT[backend])
    assert tnm.is_transposable(layer.mask.numpy(), n, m)
    x = torch.randn(7, 80, dtype=EXACT[backend], requires_grad=True)
    result = layer(x)
    assert_close(result, reference(layer, x))
    upstream = torch.randn_like(result)
    result.backward(upstream)
    assert_close(x.grad, upstream @ torch.where(layer.mask, layer.weight, 0.0))
    assert_close(layer.weight.grad, upstream.t() @ x)
    assert_close(layer.bias.grad, upstream.sum(0))


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("shape", [(4, 4), (7, 5), (50, 33), (5, 130)])
def test_shapes_that_tiles_do_not_divide(backend: str, shape: tuple[int, int]) -> None:
    layer = make_layer(*shape, backend=backend, dtype=EXACT[backend])
    x = torch.randn(6, shape[1], dtype=EXACT[backend], requires_grad=True)
    result = layer(x)
    assert_close(result, reference(layer, x))
    result.sum().backward()
    assert_close(x.grad, torch.where(layer.mask, layer.weight, 0.0).sum(0).expand(6, -1))


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(backend: str, dtype: Any) -> None:
    layer = make_layer(32, 64, backend=backend, dtype=dtype)
    x = torch.randn(9, 64).to(dtype).requires_grad_()
    result = layer(x)
    assert result.dtype == dtype
    assert_close(result, reference(layer, x))
    result.sum().backward()
    for tensor in (x, layer.weight, layer.bias):
        assert tensor.grad.dtype == dtype
    expected = torch.where(layer.mask, layer.weight.double(), 0.0).sum(0).expand(9, -1)
    assert_close(x.grad, expected)


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (2, 1, 3), (0,), (3, 0)])
def test_leading_axes(backend: str, lead: tuple[int, ...]) -> None:
    layer = make_layer(16, 24, backend=backend)
    x = torch.randn(*lead, 24, requires_grad=True)
    result = layer(x)
    assert result.shape == (*lead, 16)
    assert not result._is_view(), "FSDP warns of views, and in-place operations lose its hooks"
    assert_close(result, reference(layer, x))
    result.sum().backward()
    assert x.grad.shape == x.shape
    assert layer.weight.grad.shape == layer.weight.shape
    assert float(layer.weight.grad.abs().sum()) == 0 if x.numel() == 0 else True


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_inputs_of_any_strides(backend: str) -> None:
    layer = make_layer(16, 24, backend=backend)
    x = torch.randn(24, 10)
    for view in (x.t(), torch.randn(10, 48)[:, ::2], torch.randn(1, 24).expand(5, 24)):
        assert_close(layer(view), reference(layer, view))


def test_two_orientations_are_packed_separately() -> None:
    """Neither is made of the other, and the dense weight is not read where it is packed."""
    layer = make_layer(16, 32, 2, 4, backend="emulate", dtype=torch.float64)
    assert layer.packed_values.shape == (16, 16)
    assert layer.packed_t_values.shape == (32, 8)
    weight, mask = layer.weight.detach().numpy(), layer.mask.numpy()
    for axis, values, indices in (
        (-1, layer.packed_values, layer.packed_indices),
        (-2, layer.packed_t_values, layer.packed_t_indices),
    ):
        expected = tnm.compress(weight, mask, 2, 4, axis=axis)
        assert (values.numpy() == expected.values).all()
        assert (indices.numpy() == expected.indices).all()
    x = torch.randn(3, 32, dtype=torch.float64, requires_grad=True)
    layer.packed_values.zero_()
    result = layer(x)
    assert_close(result, layer.bias.detach().expand(3, -1))
    result.sum().backward()
    assert_close(x.grad, torch.where(layer.mask, layer.weight, 0.0).sum(0).expand(3, -1))


def test_no_bias_and_frozen_parts() -> None:
    layer = TransposableLinear(24, 16, bias=False, backend="emulate")
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    x = torch.randn(4, 24)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    layer.weight.requires_grad_(False)
    y = x.clone().requires_grad_()
    layer(y).sum().backward()
    assert y.grad is not None
    with torch.no_grad():
        assert not layer(y).requires_grad
    with torch.inference_mode():
        assert_close(layer(x), reference(layer, x))


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_masked_gradient(backend: str) -> None:
    layer = make_layer(16, 24, backend=backend, masked_gradient=True)
    layer(torch.randn(8, 24)).square().sum().backward()
    assert (layer.weight.grad[~layer.mask] == 0).all()
    assert (layer.weight.grad[layer.mask] != 0).all()


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_what_is_dropped_does_not_matter(backend: str) -> None:
    layer = make_layer(16, 24, backend=backend)
    x = torch.randn(5, 24)
    expected = layer(x)
    with torch.no_grad():
        layer.weight[~layer.mask] = float("nan")
    assert torch.equal(layer(x), expected)


def test_gradcheck_through_dense() -> None:
    layer = make_layer(8, 12, 2, 4, backend="dense", dtype=torch.float64, masked_gradient=True)
    x = torch.randn(5, 12, dtype=torch.float64, requires_grad=True)

    def call(rows: Any, weight: Any, bias: Any) -> Any:
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (rows,))

    inputs = (x, layer.weight, layer.bias)
    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_gradcheck_through_the_packed_form() -> None:
    """By the input alone: numerical differences of the weight would see what is dropped."""
    layer = make_layer(8, 12, 2, 4, backend="emulate", dtype=torch.float64)
    layer.requires_grad_(False)
    x = torch.randn(5, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))


def test_straight_through_gradient_of_dropped_weights() -> None:
    """The gradient that all weights would have, at the masked weight."""
    layer = make_layer(8, 12, backend="dense", dtype=torch.float64)
    x = torch.randn(5, 12, dtype=torch.float64)
    layer(x).square().sum().backward()
    weight = layer.masked_weight().detach().requires_grad_()
    torch.nn.functional.linear(x, weight, layer.bias.detach()).square().sum().backward()
    assert_close(layer.weight.grad, weight.grad)


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast(backend: str, dtype: Any) -> None:
    layer = make_layer(32, 64, backend=backend)
    dense = torch.nn.Linear(64, 32)
    with torch.no_grad():
        dense.weight.copy_(layer.masked_weight())
        dense.bias.copy_(layer.bias)
    x = torch.randn(9, 64, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    with torch.autocast("cpu", dtype):
        result, expected = layer(x), dense(twin)
    assert result.dtype == expected.dtype == dtype
    assert_close(result, expected)
    result.sum().backward()
    expected.sum().backward()
    for ours, theirs in ((x, twin), (layer.weight, dense.weight), (layer.bias, dense.bias)):
        assert ours.grad.dtype == theirs.grad.dtype == torch.float32
        assert_close(ours.grad.to(dtype), theirs.grad.to(dtype))
    if backend == "emulate":
        assert layer.packed_values.dtype == dtype
        layer.repack()
        assert layer.packed_values.dtype == dtype, "packed as in the last forward pass"
    assert layer(x).dtype == torch.float32


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_compute_dtype(backend: str) -> None:
    layer = make_layer(32, 64, backend=backend, compute_dtype=torch.bfloat16)
    x = torch.randn(9, 64, requires_grad=True)
    result = layer(x)
    assert result.dtype == torch.bfloat16
    result.float().sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == torch.float32


def test_changed_weights_are_packed_anew() -> None:
    layer = make_layer(16, 32, backend="emulate")
    x = torch.randn(4, 32)
    before, memory = layer(x), layer.packed_values.data_ptr()
    with torch.no_grad():
        layer.weight.mul_(2)
    assert_close(layer(x) - layer.bias, 2 * (before - layer.bias))
    layer.mask.logical_not_()  # of 2:4, again 2:4
    assert_close(layer(x), reference(layer, x))
    assert layer.packed_values.data_ptr() == memory, "CUDA graphs hold this memory"
    layer.weight.data.mul_(3)  # moves no version counter, as documented
    layer.repack()
    assert_close(layer(x), reference(layer, x))


@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}, {"foreach": False}])
def test_every_kind_of_optimizer_is_noticed(options: dict[str, bool]) -> None:
    layer = make_layer(16, 32, backend="emulate")
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, **options)
    x = torch.randn(4, 32)
    for _ in range(2):
        assert_close(layer(x), reference(layer, x))
        layer(x).sum().backward()
        optimizer.step()
    assert_close(layer(x), reference(layer, x))


def _masked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Note each tensor that is masked from now on."""
    shapes: list[tuple[int, ...]] = []
    original = products.keep

    def noting(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(weight.shape))
        return original(weight, mask)

    monkeypatch.setattr(products, "keep", noting)
    return shapes


@pytest.mark.parametrize("masked_gradient", [False, True])
def test_the_dense_product_masks_once(
    monkeypatch: pytest.MonkeyPatch, masked_gradient: bool
) -> None:
    layer = make_layer(16, 32, backend="dense", masked_gradient=masked_gradient)
    x = torch.randn(4, 32, requires_grad=True)
    shapes = _masked(monkeypatch)
    result = layer(x)
    assert shapes == [(16, 32)]
    result.sum().backward()
    assert len(shapes) == 1 + masked_gradient, "the gradient alone is masked behind it"
    dense = torch.where(layer.mask, layer.weight.detach(), 0.0)
    assert_close(x.grad, dense.double().sum(0).expand(4, -1))


def test_a_gathered_weight_is_masked_anew_in_the_backward_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of the size of a gathered weight lives on until then."""
    layer = make_layer(16, 32, backend="dense")
    layer._packs_at_every_forward = True
    x = torch.randn(4, 32, requires_grad=True)
    shapes = _masked(monkeypatch)
    layer(x).sum().backward()
    assert shapes == [(16, 32)] * 2


def test_checkpointed_activations() -> None:
    layer = make_layer(16, 16, backend="emulate", dtype=torch.float64)
    x = torch.randn(4, 16, dtype=torch.float64, requires_grad=True)
    checkpoint(layer, x, use_reentrant=False).sum().backward()
    found = x.grad.clone()
    x.grad = None
    layer(x).sum().backward()
    assert torch.equal(found, x.grad)


def test_other_tensors_in_place_of_the_weight_are_packed() -> None:
    layer = make_layer(16, 32, backend="emulate")
    x, other = torch.randn(4, 32), torch.randn(16, 32)
    found = torch.func.functional_call(layer, {"weight": other}, (x,))
    assert_close(found, x @ torch.where(layer.mask, other, 0.0).t() + layer.bias)
    assert_close(layer(x), reference(layer, x))


def test_a_weight_changed_between_forward_and_backward_is_an_error() -> None:
    layer = make_layer(16, 32, backend="emulate")
    loss = layer(torch.randn(4, 32, requires_grad=True)).sum()
    with torch.no_grad():
        layer.weight.mul_(2)
    layer.repack()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_gradient_accumulation_and_weight_sharing() -> None:
    layer = make_layer(16, 16, backend="emulate", dtype=torch.float64)
    x = torch.randn(4, 16, dtype=torch.float64)
    (layer(layer(x)).sum() + layer(x).sum()).backward()
    found = layer.weight.grad.clone()
    layer.zero_grad()
    layer.backend = "dense"
    layer.repack()
    assert layer.active_backend == "dense"
    (layer(layer(x)).sum() + layer(x).sum()).backward()
    assert_close(found, layer.weight.grad)


def test_set_mask() -> None:
    layer = make_layer(16, 32, backend="emulate")
    x = torch.randn(4, 32)
    other = torch.from_numpy(tnm.transposable_mask(torch.randn(16, 32).numpy(), 2, 4))
    mask = layer.mask
    layer.set_mask(other)
    assert layer.mask is mask, "the buffer stays"
    assert torch.equal(layer.mask, other)
    assert_close(layer(x), reference(layer, x))
    layer.set_mask(mask.logical_not(), validate=False)
    assert torch.equal(layer.mask, ~other)
    for wrong in (torch.ones(32, dtype=torch.bool), torch.ones(16, 32)):
        with pytest.raises((TypeError, ValueError), match="expected"):
            layer.set_mask(wrong, validate=False)
    assert torch.equal(layer.mask, ~other)


def test_repacking_after_steps() -> None:
    model = torch.nn.Sequential(make_layer(16, 32, backend="emulate"), torch.nn.ReLU())
    assert repack_(model) == 1
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    handle = repack_after_step(optimizer, model)
    for removed in (False, True):
        if removed:
            handle.remove()
        before = model[0].packed_values.clone()
        model(torch.randn(4, 32)).sum().backward()
        optimizer.step()
        assert torch.equal(before, model[0].packed_values) == removed


def test_what_it_says_of_itself() -> None:
    layer = make_layer(16, 32, backend="auto")
    assert layer.tnm_masked_weight
    assert TransposableLinear.tnm_masked_weight
    assert (layer.n, layer.m) == (2, 4)
    assert layer.active_backend == "dense"
    assert "16 x 32, expected sides of at least 64" in layer.backend_reason
    assert "pattern=2:4, backend=auto -> dense (expected to be faster: 16 x 32" in repr(layer)
    assert "backend=emulate)" in repr(make_layer(16, 32, backend="emulate"))


def test_every_backend_has_its_name() -> None:
    assert all(backend.name == name for name, backend in BACKENDS.items())


def test_from_linear_keeps_parameters_mode_and_mask() -> None:
    dense = torch.nn.Linear(32, 16).eval()
    layer = TransposableLinear.from_linear(dense, 4, 8, backend="emulate")
    assert layer.weight is dense.weight
    assert layer.bias is dense.bias
    assert not layer.training
    best = tnm.transposable_mask(dense.weight.detach().numpy(), 4, 8)
    assert (layer.mask.numpy() == best).all()
    same = TransposableLinear.from_linear(dense, 4, 8, mask=layer.mask)
    assert torch.equal(same.mask, layer.mask)
    assert same.mask is not layer.mask


@pytest.mark.parametrize("pattern", ["4:8", " 4 : 8 ", (4, 8), Pattern(4, 8)])
def test_every_form_of_a_pattern(pattern: Any) -> None:
    layer = TransposableLinear(32, 16, True, pattern)
    assert (layer.n, layer.m, layer.pattern) == (4, 8, Pattern(4, 8))
    assert TransposableLinear.from_linear(torch.nn.Linear(32, 16), pattern).pattern == layer.pattern
    model = torch.nn.Sequential(torch.nn.Linear(32, 16))
    assert to_sparse_linear_(model, pattern).pattern == "4:8"
    assert model[0].pattern == layer.pattern


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "2:4"), ({"n": 1}, "1:4"), ({"m": 8}, "2:8"), ({"n": "1:8"}, "1:8")],
)
def test_what_is_not_given_of_a_pattern(given: Any, expected: str) -> None:
    assert str(TransposableLinear(32, 16, **given).pattern) == expected


def test_patterns_of_rows_alone_are_refused() -> None:
    with pytest.raises(ValueError, match="pattern is 'row 2:4', expected a transposable one"):
        TransposableLinear(32, 16, True, "row 2:4")
    with pytest.raises(TypeError, match="m is 4 after the pattern '2:4'"):
        TransposableLinear(32, 16, True, "2:4", 4)
