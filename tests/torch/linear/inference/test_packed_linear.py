"""Layers that hold nothing of their weight but its packed form."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import nn
from transformers.pytorch_utils import Conv1D

from tests.support.torch_layers import assert_close
from tests.torch.refusals import assert_refused
from tnm_core.torch import (
    PackedLinear,
    load_packed_,
    nm_mask,
    pack_for_inference_,
    sparsify_,
    to_sparse_linear_,
    transposable_mask,
)
from tnm_core.torch.linear.outside_of_graphs import is_unwatched

KINDS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(80, 64), (3, 5, 80)),
    "one row": (lambda: nn.Linear(80, 64), (80,)),
    "no rows": (lambda: nn.Linear(80, 64), (0, 80)),
    "without bias": (lambda: nn.Linear(80, 64, bias=False), (7, 80)),
    "conv1d": (lambda: Conv1D(64, 80), (3, 5, 80)),
    "pointwise 1d": (lambda: nn.Conv1d(80, 64, 1), (2, 80, 7)),
    "pointwise 2d": (lambda: nn.Conv2d(80, 64, 1, stride=2), (2, 80, 5, 6)),
}


def _pair(kind: str = "linear", density: float = 0.3, **options: Any) -> tuple[Any, Any, Any]:
    """Make a packed layer with a mask of no pattern, the dense one, and an input."""
    make, shape = KINDS[kind]
    torch.manual_seed(0)
    dense = make()
    with torch.no_grad():
        dense.weight.mul_(torch.rand_like(dense.weight) < density)
        if dense.bias is not None:
            nn.init.normal_(dense.bias)
    model = nn.Sequential(copy.deepcopy(dense))
    pack_for_inference_(model, **options)
    return model[0], dense, torch.randn(shape)


@pytest.mark.parametrize("kind", ["pointwise 1d", "pointwise 2d"])
def test_packed_convolutions_tell_of_their_positions_what_dense_ones_tell(kind: str) -> None:
    """Models that pad by hand, as TensorFlow does, ask for it."""
    packed, dense, _ = _pair(kind)
    for name in ("kernel_size", "stride", "padding", "dilation", "groups", "in_channels",
                 "out_channels"):  # fmt: skip
        assert getattr(packed, name) == getattr(dense, name), name


@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_the_dense_layer(kind: str) -> None:
    packed, dense, x = _pair(kind)
    with torch.no_grad():
        assert_close(packed(x), dense(x))
    assert torch.equal(packed.weight, dense.weight)
    assert torch.equal(packed.mask, dense.weight != 0)
    assert [name for name, _ in packed.named_parameters()] == (
        ["bias"] if packed.bias is not None else []
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compiles", [False, True])
def test_gradients_pass_to_input_and_bias(kind: str, compiles: bool) -> None:
    packed, dense, x = _pair(kind)
    twin = x.clone().requires_grad_()
    x.requires_grad_()
    call = torch.compile(packed, backend="aot_eager", fullgraph=True) if compiles else packed
    found, expected = call(x), dense(twin)
    assert_close(found, expected)
    upstream = torch.randn_like(expected)
    found.backward(upstream)
    expected.backward(upstream)
    assert_close(x.grad, twin.grad)
    if packed.bias is not None:
        assert_close(packed.bias.grad, dense.bias.grad)


def test_the_operators_keep_the_rules_of_operators() -> None:
    packed, _, x = _pair()
    x.requires_grad_()
    operators = torch.ops.tnm_core
    torch.library.opcheck(operators.packed_product.default, (x, packed.packed, packed.bias, 64, 80))
    torch.library.opcheck(operators.unpacked_matrix.default, (packed.packed, 64, 80, torch.float32))


def test_tracers_see_the_product() -> None:
    packed, _, x = _pair()
    assert is_unwatched(x, None)
    assert not is_unwatched(x, packed.bias)
    with torch.no_grad():
        assert is_unwatched(x, packed.bias)
        program = torch.export.export(nn.Sequential(packed), (x,))
        assert torch.equal(program.module()(x), packed(x))
        graph = torch.fx.experimental.proxy_tensor.make_fx(packed)(x)
        assert "packed_product" in graph.code
        several = torch.vmap(packed)(torch.randn(4, 3, 80))
    assert several.shape == (4, 3, 64)


def test_autocast_and_casts() -> None:
    packed, dense, x = _pair()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = packed(x)
        assert found.dtype == torch.bfloat16
        assert_close(found, dense(x))
    assert_refused(lambda: packed(x.double()), TypeError, "torch.float64", "torch.float32")
    casting, _, _ = _pair(compute_dtype=torch.bfloat16)
    with torch.no_grad():
        assert casting.dtype == torch.bfloat16
        assert casting(x).dtype == torch.float32
        assert casting(x.double()).dtype == torch.float64
        assert_close(casting(x).bfloat16(), dense(x))
    assert_refused(lambda: packed(x[..., :7]), ValueError, (3, 5, 7), "(..., 80)")


def test_moving_and_casting() -> None:
    packed, dense, x = _pair()
    half = copy.deepcopy(packed).half()
    assert (half.dtype, half.bias.dtype, half.weight.dtype) == (torch.float16,) * 3
    with torch.no_grad():
        assert_close(half(x.half()), dense(x))
        assert torch.equal(packed.to("cpu")(x), packed.float()(x))
    before = packed.weight
    for move, error, told in (
        (lambda: packed.to("meta"), RuntimeError, "to_sparse_linear_"),
        (lambda: packed.double(), TypeError, "torch.float64"),
    ):
        assert_refused(move, error, told)
        assert torch.equal(packed.weight, before)
        assert packed.bias.dtype == torch.float32


def test_views_that_only_say_that_their_sign_is_another_one() -> None:
    packed, _, _ = _pair("linear")
    x = torch.randn(3, packed.in_features, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    with torch.no_grad():
        assert torch.equal(packed(x), packed(x.clone()))


def test_loaded_layers_cast_as_those_that_were_saved() -> None:
    first, second = (
        nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)) for _ in range(2)
    )
    pack_for_inference_(first, "2:4", backend="cpu", compute_dtype=torch.bfloat16)
    load_packed_(second, first.state_dict())
    x = torch.randn(2, 64)
    with torch.no_grad():
        assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts(kind: str) -> None:
    packed, _, x = _pair(kind)
    model, other = nn.Sequential(packed), nn.Sequential(KINDS[kind][0]())
    state = load_safetensors(save_safetensors(model.state_dict()))
    names = ["0.weight_bits", "0.weight_values"]
    assert sorted(state) == (["0.bias", *names] if packed.bias is not None else names)
    load_packed_(other, state)
    with torch.no_grad():
        assert torch.equal(other(x), model(x))
    sparser, _, _ = _pair(kind, density=0.1)
    sparser.load_state_dict(packed.state_dict())
    assert torch.equal(sparser.weight, packed.weight)
    for replica in (copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
        assert torch.equal(replica.weight, packed.weight)
        assert replica.packed.data_ptr() != packed.packed.data_ptr()


def test_damaged_state_dicts_are_refused() -> None:
    packed, _, _ = _pair()
    before = packed.weight
    state = packed.state_dict()
    values, bits = state["weight_values"], state["weight_bits"]
    flipped = bits.clone()
    flipped[0] ^= 1
    for changes, told in (
        ({"weight_values": values[1:]}, "expected the same; both have to come from one"),
        ({"weight_bits": flipped}, "expected the same"),
        ({"weight_bits": bits[1:]}, r"expected uint8 of shape \(640,\)"),
        ({"weight_bits": bits.float()}, "expected uint8"),
        ({"weight_values": values.double()}, "expected a vector of float32"),
        ({"weight_values": values[None]}, "2 axes, expected a vector"),
    ):
        with pytest.raises(RuntimeError, match=told):
            packed.load_state_dict({**state, **changes})
        assert torch.equal(packed.weight, before)
    for name in ("weight_values", "weight_bits"):
        rest = {key: value for key, value in state.items() if key != name}
        with pytest.raises(RuntimeError, match=f'Missing key.*"{name}"'):
            packed.load_state_dict(rest)
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"weight"'):
        packed.load_state_dict({**state, "weight": before})
    with pytest.raises(ValueError, match="expected a layer '0'"):
        load_packed_(nn.ModuleDict({"a": nn.Linear(80, 64)}), nn.Sequential(packed).state_dict())
    with pytest.raises(ValueError, match="layer '0' cannot be packed"):
        load_packed_(nn.Sequential(nn.Embedding(8, 8)), nn.Sequential(packed).state_dict())


def test_what_has_nothing_packed_yet_says_so() -> None:
    layer = PackedLinear((64, 80), None, torch.float32, name="up")
    assert_refused(lambda: layer(torch.randn(2, 80)), RuntimeError, "up", "load_state_dict")
    assert layer.state_dict() == {}
    assert "packed=False" in repr(layer)


# ---- where masks come from -------------------------------------------------------


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 64))


def test_zeros_patterns_and_given_masks() -> None:
    assert_refused(lambda: pack_for_inference_(_model()), ValueError, "0: dense is faster", "1.00")
    for pattern, find in (("2:4", transposable_mask), ("row 2:4", nm_mask)):
        model, weight = _model(), _model()[0].weight.detach()
        pack_for_inference_(model, pattern)
        assert torch.equal(model[0].mask, find(weight, pattern.removeprefix("row ")))
    model, mask = _model(), torch.rand(96, 64) < 0.4
    report = pack_for_inference_(model, masks={"0": mask})
    assert list(report.packed) == ["0"]
    assert torch.equal(model[0].mask, mask)
    report = pack_for_inference_(model, backend="cpu")
    assert list(report.packed) == ["2"]
    assert report.skipped == {"0": "is sparse already"}
    assert report.packed["2"].density == 1.0


def test_layers_that_are_masked_already() -> None:
    x = torch.randn(5, 64)
    for mask_ in (lambda model: sparsify_(model, "row 2:4"), to_sparse_linear_):
        model = _model().eval()
        mask_(model)
        with torch.no_grad():
            expected = model(x)
            pack_for_inference_(model, "1:4")
            assert isinstance(model[0], PackedLinear)
            assert not model[0].training
            assert_close(model(x), expected)


def test_what_stays_dense_is_told() -> None:
    model = nn.ModuleDict(
        {
            "small": nn.Linear(8, 128),
            "wide": nn.Conv2d(64, 64, 3),
            "float64": nn.Linear(64, 64, dtype=torch.float64),
            "hooked": nn.Linear(64, 64),
            "normed": nn.utils.parametrizations.weight_norm(nn.Linear(64, 64)),
            "tied": nn.Linear(64, 64),
            "words": nn.Embedding(64, 64),
            "meta": nn.Linear(64, 64, device="meta"),
            "good": nn.Linear(64, 64),
        }
    )
    model["tied"].weight = model["words"].weight
    model["hooked"].register_forward_hook(lambda *_: None)
    report = pack_for_inference_(model, "2:4")
    assert list(report.packed) == ["good"]
    told = report.skipped
    for name, part in (
        ("small", "128 x 8, expected sides of at least 64"),
        ("wide", "kernel 3 x 3"),
        ("float64", "give compute_dtype=torch.float32"),
        ("hooked", "has hooks"),
        ("normed", "has parametrizations"),
        ("tied", "shared with another module"),
        ("words", "its type is Embedding"),
        ("meta", "no data"),
    ):
        assert part in told.pop(name)
    assert not told


def test_one_layer_under_two_names_stays_one() -> None:
    layer = nn.Linear(64, 64)
    model = nn.ModuleDict({"a": layer, "b": nn.Sequential(layer)})
    report = pack_for_inference_(model, "2:4")
    assert list(report.packed) == ["a", "b.0"]
    assert model["a"] is model["b"][0]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"backend": "dense"}, ValueError, "'auto', 'cpu'"),
        ({"compute_dtype": torch.float64}, TypeError, "torch.bfloat16"),
        ({"include": "nowhere"}, ValueError, "matches no layer with a matrix"),
        ({"masks": {"nowhere": None}}, ValueError, "no such layer"),
        ({"masks": {"0": torch.ones(3, 3, dtype=torch.bool)}}, ValueError, "(96, 64)"),
        ({"masks": {"0": torch.ones(96, 64)}}, TypeError, "torch.bool"),
        ({"pattern": "2-4"}, ValueError, "n:m"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], told: str) -> None:
    model = _model()
    layers = list(model)
    assert_refused(lambda: pack_for_inference_(model, **options), error, told)
    assert list(model) == layers


def test_weights_without_a_mask_are_named() -> None:
    model = _model()
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    assert_refused(lambda: pack_for_inference_(model, "2:4"), ValueError, "2: no mask", "finite")
    assert isinstance(model[0], nn.Linear)


def test_whole_layers_round_trip_through_torch_save() -> None:
    packed, _, x = _pair("pointwise 2d")
    file = io.BytesIO()
    torch.save(packed, file)
    file.seek(0)
    with torch.no_grad():
        assert torch.equal(torch.load(file, weights_only=False)(x), packed(x))
