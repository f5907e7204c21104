"""Layers with row-wise masks, which no transposable layer would take."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

import tnm_core as tnm
from tests.support import cusparselt as standins
from tests.support import references
from tests.support.torch_layers import EXACT, ROUNDING, assert_close, reference
from tnm_core import Pattern
from tnm_core.skip import SkipCode
from tnm_core.torch import (
    DynamicMask,
    RowWiseConv1D,
    RowWiseLinear,
    RowWisePointwise1d,
    RowWisePointwise2d,
    SpeedTable,
    StaticMask,
    TransposableConv1D,
    TransposableLinear,
    benchmark_layer,
    dense_state_dict,
    load_masks_,
    load_packed_,
    masks,
    nm_mask,
    pack_for_inference_,
    remove_sparsity_,
    repack_,
    repack_after_step,
    sparsify_,
    to_sparse_linear_,
    train_sparse_,
)

BACKENDS_HERE = ["cpu", "dense", "emulate"]
PATTERNS = [(2, 4), (1, 4), (3, 8), (16, 32), (3, 5)]


def _layer(out: int, inputs: int, n: int = 2, m: int = 4, **options: Any) -> RowWiseLinear:
    torch.manual_seed(0)
    layer = RowWiseLinear(inputs, out, True, n, m, **options)
    expected = references.nm_mask(abs(layer.weight.detach().double().numpy()), n, m, -1)
    assert (layer.mask.numpy() == expected).all()
    assert not tnm.is_transposable(layer.mask.numpy(), n, m)
    return layer


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_products_and_gradients(backend: str, n: int, m: int) -> None:
    layer = _layer(48, 84, n, m, backend=backend, dtype=EXACT[backend])
    x = torch.randn(7, 84, dtype=EXACT[backend], requires_grad=True)
    result = layer(x)
    assert_close(result, reference(layer, x))
    upstream = torch.randn_like(result)
    result.backward(upstream)
    assert_close(x.grad, upstream.double() @ layer.masked_weight().double())
    assert_close(layer.weight.grad, upstream.t() @ x)
    assert_close(layer.bias.grad, upstream.sum(0))


@pytest.mark.parametrize("backend", ["cpu", "emulate"])
def test_the_forward_product_is_packed_and_the_input_gradient_is_not(backend: str) -> None:
    layer = _layer(16, 32, backend=backend)
    x = torch.randn(3, 32, requires_grad=True)
    for mode in (True, False):
        layer.train(mode)
        layer(x)
        assert layer.packed_values.numel()
        assert not layer.packed_t_values.numel()
    kept = int(layer.mask.sum()) * 4
    assert layer.packed_values.nbytes < 2 * kept + 1024, "one orientation"
    layer.packed_values.zero_()
    if backend == "emulate":  # the bytes of the other hold its shape
        result = layer(x)
        assert_close(result, layer.bias.detach().expand(3, -1))
        result.sum().backward()
        assert_close(x.grad, layer.masked_weight().sum(0).expand(3, -1))


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_gradients_of_gradients(backend: str) -> None:
    layer = _layer(8, 12, backend=backend, dtype=EXACT[backend])
    x, y = (torch.randn(3, 12, dtype=EXACT[backend], requires_grad=True) for _ in range(2))

    def second(product: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, ...]:
        (first,) = torch.autograd.grad(product(x).tanh().sum(), x, create_graph=True)
        return torch.autograd.grad((first * y.detach()).sum(), (x, layer.weight))

    found = second(layer)
    weight = layer.weight - torch.where(layer.mask, 0.0, layer.weight.detach())
    for one, other in zip(found, second(lambda x: x @ weight.t() + layer.bias), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_dtypes(backend: str, dtype: Any) -> None:
    layer = _layer(32, 64, backend=backend, dtype=dtype)
    x = torch.randn(9, 64).to(dtype).requires_grad_()
    result = layer(x)
    assert_close(result, reference(layer, x))
    result.sum().backward()
    assert {one.grad.dtype for one in (x, layer.weight, layer.bias)} == {dtype}
    assert_close(x.grad, layer.masked_weight().double().sum(0).expand(9, -1))


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_autocast(backend: str) -> None:
    layer = _layer(32, 64, backend=backend)
    x = torch.randn(5, 64, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = layer(x)
        assert result.dtype == torch.bfloat16
        result.float().sum().backward()
    assert_close(result, reference(layer, x))
    expected = layer.masked_weight().detach().sum(0).expand(5, -1)
    worst = float((x.grad - expected).abs().max())
    assert worst <= ROUNDING[torch.bfloat16] * float(expected.abs().max())
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_masked_gradient_and_what_is_dropped(backend: str) -> None:
    layer = _layer(16, 24, backend=backend, masked_gradient=True)
    x = torch.randn(8, 24, requires_grad=True)
    expected = layer(x)
    expected.square().sum().backward()
    assert (layer.weight.grad[~layer.mask] == 0).all()
    assert (layer.weight.grad[layer.mask] != 0).all()
    before = x.grad.clone()
    with torch.no_grad():
        layer.weight[~layer.mask] = float("nan")
    x.grad = None
    again = layer(x)
    assert torch.equal(again, expected)
    again.square().sum().backward()
    assert torch.equal(x.grad, before)


def test_one_graph_that_notices_changes() -> None:
    torch._dynamo.reset()
    layer = _layer(16, 32, backend="cpu")
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(4, 32, requires_grad=True)
    compiled(x).sum().backward()
    assert_close(x.grad, layer.masked_weight().sum(0).expand(4, -1))
    with torch.no_grad():
        layer.weight.mul_(2)
    with pytest.raises(RuntimeError, match=r"RowWiseLinear\(32, 16\): weight or mask changed"):
        compiled(x)
    layer.set_mask(nm_mask(-layer.weight.abs(), "row 2:4", score="identity"))
    assert_close(compiled(x), reference(layer, x))
    layer.packed_values = layer.packed_values.clone()  # known by its content
    assert_close(compiled(x), reference(layer, x))


@pytest.mark.parametrize("transposed", [False, True])
def test_the_operator_keeps_the_rules_of_operators(transposed: bool) -> None:
    layer = _layer(16, 32, backend="cpu")
    packed = [layer.packed_values, layer.packed_indices]
    packed += [layer.packed_t_values, layer.packed_t_indices]
    x = torch.randn(4, 16 if transposed else 32, requires_grad=True)
    bias = None if transposed else layer.bias
    weight, mask = layer.weight, layer.mask
    options = (2, 4, False, "cpu", transposed, False, "out_in")
    torch.library.opcheck(
        torch.ops.tnm_core.masked_product.default, (x, weight, mask, bias, *packed, *options)
    )


# Other kinds of layers


def _conv1d() -> nn.Module:
    layer = Conv1D(96, 64)  # (out, in), stored as (in, out)
    nn.init.normal_(layer.bias)
    return layer


KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], type[nn.Module]]] = {
    "linear": (lambda: nn.Linear(64, 96), (3, 64), RowWiseLinear),
    "conv1d": (_conv1d, (3, 5, 64), RowWiseConv1D),
    "pointwise 1d": (lambda: nn.Conv1d(64, 96, 1), (2, 64, 7), RowWisePointwise1d),
    "strides": (lambda: nn.Conv2d(64, 96, 1, stride=(2, 3)), (2, 64, 5, 7), RowWisePointwise2d),
}


def _converted(kind: str, backend: str, dtype: Any = torch.float32) -> tuple[Any, Any]:
    """Make a model of one sparse layer, and the dense layer that it was."""
    torch.manual_seed(0)
    dense = KINDS[kind][0]().to(dtype)
    model = nn.Sequential(copy.deepcopy(dense))
    report = to_sparse_linear_(model, "row 2:4", backend=backend)
    assert (report.pattern, list(report.converted)) == ("row 2:4", ["0"])
    assert report.converted["0"].density == 0.5
    return model, dense


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind: str, backend: str) -> None:
    model, dense = _converted(kind, backend, EXACT[backend])
    assert type(model[0]) is KINDS[kind][2]
    masked = copy.deepcopy(dense)
    sparsify_(masked, "row 2:4", layers=(type(dense),))  # along the inputs, wherever they lie
    mask = masks(model)["0"]
    assert torch.equal(mask, masks(masked)[""])
    matrix = mask.reshape(mask.shape[:2])
    assert not tnm.is_transposable(matrix.numpy(), 2, 4)
    x = torch.randn(KINDS[kind][1], dtype=EXACT[backend], requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    found, expected = model(x), masked(twin)
    assert_close(found, expected)
    upstream = torch.randn_like(expected)
    found.backward(upstream)
    expected.backward(upstream)
    assert_close(x.grad, twin.grad)
    kept = masked.parametrizations.weight.original.grad
    assert_close(torch.where(mask, model[0].weight.grad, 0.0), kept)
    assert "pattern=row 2:4" in repr(model)


@pytest.mark.parametrize("kind", ["conv1d", "strides"])
def test_masks_along_outputs_are_refused(kind: str) -> None:
    model, dense = _converted(kind, "cpu")
    along_outputs = nm_mask(dense.weight, "row 2:4", axis=1 if kind == "conv1d" else 0)
    with pytest.raises(ValueError, match=r"0: mask is not row 2:4: .* one of nm_mask\(\)"):
        model[0].set_mask(along_outputs)
    with pytest.raises(ValueError, match="layer '0' is not row 2:4 sparse"):
        load_masks_(model, {"0": along_outputs})
    with torch.no_grad():
        model[0].mask.copy_(along_outputs)
    with pytest.raises(ValueError, match="not row 2:4 sparse"):
        model(torch.randn(KINDS[kind][1]))


def test_a_kind_takes_no_pattern_of_another() -> None:
    with pytest.raises(ValueError, match="pattern is 'row 2:4', expected a transposable one"):
        TransposableConv1D.from_dense(_conv1d(), Pattern(2, 4, transposable=False))
    assert str(RowWiseLinear(16, 8, True, "2:4").pattern) == "row 2:4"
    assert not isinstance(RowWiseLinear(16, 8), TransposableLinear)


# States


@pytest.mark.parametrize("kind", KINDS)
def test_states_round_trip(kind: str) -> None:
    source, dense = _converted(kind, "cpu")
    with torch.no_grad():
        source[0].weight.mul_(torch.rand_like(source[0].weight))
        mask = nm_mask(-source[0].weight.abs(), 2, 4, axis=0 if kind == "conv1d" else 1,
                       score="identity")  # fmt: skip
        source[0].set_mask(mask)
    x = torch.randn(KINDS[kind][1])
    expected = source(x)
    file = io.BytesIO()
    torch.save(source.state_dict(), file)
    file.seek(0)
    loaded, _ = _converted(kind, "cpu")
    loaded.load_state_dict(torch.load(file, weights_only=True))
    from_plain, _ = _converted(kind, "cpu")
    from_plain.load_state_dict(dense_state_dict(source))
    for other in (loaded, from_plain, copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        assert torch.equal(other[0].mask, mask)
        assert torch.equal(other(x), expected)
        assert str(other[0].pattern) == "row 2:4"
        assert not other[0].packed_t_values.numel()
    plain = nn.Sequential(dense)
    plain.load_state_dict(dense_state_dict(source))
    assert_close(plain(x), expected)
    assert remove_sparsity_(source) == ["0"]
    assert type(source[0]) is type(dense)
    assert_close(source(x), expected)


def test_states_of_other_patterns() -> None:
    rows, tiles = (nn.Sequential(nn.Linear(32, 16)) for _ in range(2))
    to_sparse_linear_(rows, "row 2:4", backend="cpu")
    to_sparse_linear_(tiles, "2:4", backend="cpu")
    with pytest.raises(RuntimeError, match="0: mask is not transposable 2:4"):
        tiles.load_state_dict(rows.state_dict())
    rows.load_state_dict(tiles.state_dict())  # a transposable mask is row-wise, too
    x = torch.randn(3, 32)
    assert torch.equal(rows(x), tiles(x))


@pytest.mark.parametrize("kind", KINDS)
def test_inference_alone(kind: str) -> None:
    model, dense = _converted(kind, "cpu")
    expected, x = copy.deepcopy(model), torch.randn(KINDS[kind][1])
    report = pack_for_inference_(model, backend="cpu")
    assert report.packed["0"].density == 0.5
    matrix = dense.weight.numel() * 4
    assert model[0].packed.nbytes < 0.6 * matrix, "one orientation, and no dense weight"
    assert torch.equal(model(x), expected(x))
    assert torch.equal(model[0].mask, expected[0].mask)
    again = nn.Sequential(copy.deepcopy(dense))
    load_packed_(again, model.state_dict())
    assert torch.equal(again(x), expected(x))


# Training


@pytest.mark.parametrize("kind", ["linear", "conv1d", "strides"])
def test_masks_follow_training(kind: str) -> None:
    model, _ = _converted(kind, "cpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    for step in range(3):
        x = torch.randn(KINDS[kind][1], generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        axis = 0 if kind == "conv1d" else 1
        assert torch.equal(model[0].mask, nm_mask(model[0].weight, 2, 4, axis=axis))
    assert any(record.flip_rate for record in dynamic.statistics)
    assert {record.pattern for record in dynamic.statistics} == {"row 2:4"}
    found = model(x)
    model[0].backend = "dense"
    assert repack_(model) == 1
    assert_close(found, model(x))


def test_one_line_trains_converted_layers_with_fixed_masks() -> None:
    model, _ = _converted("linear", "cpu")
    before = masks(model)["0"]
    optimizer = torch.optim.AdamW(model.parameters())
    with pytest.raises(ValueError, match="row 2:4 sparse already, expected 2:4"):
        train_sparse_(model, optimizer, "2:4", total_steps=4)
    training = train_sparse_(model, optimizer, "row 2:4", total_steps=4)
    repack_after_step(optimizer, model)
    assert isinstance(training.masks, StaticMask)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(8, 64)).square().mean().backward()
        optimizer.step()
    assert torch.equal(masks(model)["0"], before)
    assert not (model[0].weight[~before] != 0).any()


# Back ends and measuring


def test_hardware_gets_the_weight_and_no_transpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in fails where more than 2 of 4 are kept, as they are in the transpose."""
    standin = standins.install(monkeypatch)
    layer = _layer(64, 32, dtype=torch.bfloat16)
    assert layer.active_backend == "cusparselt"
    assert standin.compressed == [(64, 32)]
    x = torch.randn(5, 32).bfloat16().requires_grad_()
    result = layer(x)
    assert_close(result, reference(layer, x))
    upstream = torch.randn(5, 64).bfloat16()
    result.backward(upstream)
    assert standin.products == [((64, 32), (32, 8), True)]
    assert_close(x.grad, upstream.double() @ layer.masked_weight().double())
    speed = benchmark_layer(layer, 8, seconds=0.001).as_speed()
    assert speed.pattern == "row 2:4"
    assert speed.algorithms is not None
    assert len(speed.algorithms) == 1
    with pytest.raises(ValueError, match="pattern row 4:8, expected row 2:4, the only one"):
        RowWiseLinear(32, 64, True, "row 4:8", backend="cusparselt")


def test_measuring(tmp_path: Any) -> None:
    model = nn.Sequential(Conv1D(96, 64), nn.Linear(96, 64))
    table = SpeedTable()
    report = to_sparse_linear_(model, "row 2:4", tokens=4, speeds=table)
    assert {(speed.out_features, speed.pattern) for speed in table} == {
        (96, "row 2:4"), (64, "row 2:4")
    }  # fmt: skip
    assert all("measured" in layer.reason for layer in report.converted.values())
    table.save(tmp_path / "speeds.json")
    assert list(SpeedTable.load(tmp_path / "speeds.json")) == list(table)
    parts = [part.part for part in benchmark_layer(model[1], 4, seconds=0.001).parts]
    assert parts[3:] == ["sparse forward", "masked input gradient", "packing"]


def test_the_same_layers_are_left_alone_as_by_transposable_patterns() -> None:
    def skips(pattern: str) -> dict[str, SkipCode]:
        model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 3), nn.Conv2d(3, 8, 1),
                              nn.Conv2d(8, 8, 3))  # fmt: skip
        report = to_sparse_linear_(model, pattern)
        return {name: skip.code for name, skip in report.skips.items()}

    assert skips("row 2:4") == skips("2:4") == {
        "1": SkipCode.NO_WHOLE_TILE, "2": SkipCode.NO_WHOLE_TILE, "3": SkipCode.NOT_POINTWISE
    }  # fmt: skip
