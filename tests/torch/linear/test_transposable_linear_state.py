"""What moves, saves and copies a TransposableLinear: packed forms follow, masks stay."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch

import tnm_core as tnm
from tests.support.torch_layers import assert_close, make_layer, reference
from tnm_core.torch import TransposableLinear, to_sparse_linear_
from tnm_core.torch.linear.packing import compress

BACKENDS_HERE = ["cpu", "dense", "emulate"]


def _assert_packed_as_it_is(layer: TransposableLinear) -> None:
    weight = layer.weight.detach()
    for axis, values, indices in (
        (-1, layer.packed_values, layer.packed_indices),
        (-2, layer.packed_t_values, layer.packed_t_indices),
    ):
        expected = compress(weight, layer.mask, layer.pattern, axis=axis)
        assert torch.equal(values, expected.values)
        assert torch.equal(indices, expected.indices)


def test_state_dict_holds_weight_bias_and_mask_alone() -> None:
    layer = make_layer(16, 32, backend="emulate")
    assert sorted(layer.state_dict()) == ["bias", "mask", "weight"]
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


@pytest.mark.parametrize("backend", BACKENDS_HERE)
@pytest.mark.parametrize("assign", [False, True])
def test_state_dict_round_trip(backend: str, assign: bool) -> None:
    source = make_layer(16, 32, backend=backend, seed=1)
    file = io.BytesIO()
    torch.save(torch.nn.Sequential(source).state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    target = make_layer(16, 32, backend=backend, seed=2)
    torch.nn.Sequential(target).load_state_dict(state, assign=assign)
    assert torch.equal(target.mask, source.mask)
    if backend == "emulate":
        _assert_packed_as_it_is(target)
    x = torch.randn(3, 32)
    assert torch.equal(target(x), source(x))


def test_a_mask_that_is_not_transposable_is_not_loaded() -> None:
    layer = make_layer(16, 32, backend="emulate")
    model = torch.nn.ModuleDict({"up": layer})
    before = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(before)
    rowwise = tnm.nm_mask(torch.randn(16, 32).numpy(), 2, 4)
    state["up.mask"], state["up.weight"] = torch.from_numpy(rowwise), torch.zeros(16, 32)
    with pytest.raises(RuntimeError, match="up: mask is not transposable 2:4: the group of 4"):
        model.load_state_dict(state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    state["up.mask"] = state["up.mask"].to(torch.uint8)
    with pytest.raises(RuntimeError, match=r"up: mask has dtype torch.uint8, expected torch.bool"):
        model.load_state_dict(state)
    state["up.mask"] = torch.ones(16, 16, dtype=torch.bool)
    with pytest.raises(RuntimeError, match=r"size mismatch for up.mask"):
        model.load_state_dict(state)


def test_a_dense_checkpoint_keeps_the_mask_if_not_strict() -> None:
    layer, dense = make_layer(16, 32, backend="emulate"), torch.nn.Linear(32, 16)
    with pytest.raises(RuntimeError, match=r'Missing key.*"mask"'):
        layer.load_state_dict(dense.state_dict())
    mask = layer.mask.clone()
    layer.load_state_dict(dense.state_dict(), strict=False)
    assert torch.equal(layer.mask, mask)
    _assert_packed_as_it_is(layer)


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_deepcopy_and_pickle(backend: str) -> None:
    layer = make_layer(16, 32, backend=backend)
    x = torch.randn(3, 32)
    expected = layer(x)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    copies = (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(file, weights_only=False),
    )
    for twin in copies:
        assert torch.equal(twin(x), expected)
        assert twin.weight is not layer.weight
        with torch.no_grad():
            twin.weight.zero_()
        assert_close(twin(x), layer.bias.detach().expand(3, -1))
    assert torch.equal(layer(x), expected)


def test_pickles_leave_packed_forms_out() -> None:
    layer = make_layer(64, 64, backend="emulate")
    largest = 4 * (layer.weight.numel() + layer.out_features) + layer.mask.numel() + 4096
    assert len(pickle.dumps(layer)) < largest


def test_to_packs_anew() -> None:
    layer = make_layer(16, 32, backend="emulate")
    for dtype in (torch.bfloat16, torch.float64, torch.float16):
        layer.to(dtype)
        assert layer.mask.dtype == torch.bool
        assert layer.packed_indices.dtype == torch.uint8
        assert layer.packed_values.dtype == dtype
        _assert_packed_as_it_is(layer)
        x = torch.randn(3, 32, dtype=dtype)
        assert_close(layer(x), reference(layer, x))


def test_meta_and_back() -> None:
    source = make_layer(16, 32, backend="emulate")
    with torch.device("meta"):
        layer = TransposableLinear(32, 16, backend="emulate")
    assert layer.weight.is_meta
    assert layer.mask.is_meta
    assert layer.active_backend is None
    layer.to_empty(device="cpu")
    layer.load_state_dict(source.state_dict())
    assert layer.active_backend == "emulate"
    _assert_packed_as_it_is(layer)
    moved = copy.deepcopy(layer).to("meta")
    assert moved.packed_values.is_meta or moved.packed_values.numel() == 0
    assert "meta" in moved.backend_reason


def test_loading_keeps_the_memory_of_packed_forms() -> None:
    source, layer = make_layer(16, 32, seed=1), make_layer(16, 32, backend="emulate")
    memory = [layer.packed_values.data_ptr(), layer.packed_t_indices.data_ptr()]
    layer.load_state_dict(source.state_dict())
    assert memory == [layer.packed_values.data_ptr(), layer.packed_t_indices.data_ptr()]
    _assert_packed_as_it_is(layer)


def test_replicas_of_data_parallel_are_packed_from_their_own_weights() -> None:
    layer = make_layer(16, 32, backend="emulate")
    replica = layer._replicate_for_data_parallel()
    replica.weight, replica.bias = layer.weight.detach() * 2, layer.bias.detach()
    replica.packed_values = layer.packed_values.clone()
    x = torch.randn(3, 32)
    assert_close(replica(x), 2 * (layer(x) - layer.bias) + layer.bias)


def test_converting_on_meta_and_loading() -> None:
    with torch.device("meta"):
        model = torch.nn.Sequential(torch.nn.Linear(32, 16))
    report = to_sparse_linear_(model, backend="emulate")
    assert report.converted["0"].backend is None
    source = make_layer(16, 32)
    model.load_state_dict(torch.nn.Sequential(source).state_dict(), assign=True)
    x = torch.randn(3, 32)
    assert_close(model(x), reference(source, x))


def test_inference_mode_leaves_tensors_that_can_be_trained() -> None:
    layer = make_layer(16, 32, backend="emulate")
    with torch.no_grad():
        layer.weight.mul_(2)
    x = torch.randn(3, 32)
    with torch.inference_mode():
        layer(x)
    assert not layer.packed_values.is_inference()
    loss = layer(x.requires_grad_()).sum()
    loss.backward()
    assert x.grad is not None


@pytest.mark.parametrize("backend", BACKENDS_HERE)
def test_layers_are_made_and_copied_under_inference_mode(backend: str) -> None:
    layer = make_layer(16, 32, backend=backend)
    x = torch.randn(3, 32)
    with torch.inference_mode():
        made = [make_layer(16, 32, backend=backend), copy.deepcopy(layer)]
        made.append(pickle.loads(pickle.dumps(layer)))
        for one in made:
            assert_close(one.double().float()(x), reference(one, x))


def test_export() -> None:
    for backend in BACKENDS_HERE:
        model = torch.nn.Sequential(make_layer(16, 32, backend=backend)).eval()
        x = torch.randn(3, 32)
        program = torch.export.export(model, (x,))
        assert torch.equal(program.module()(x), model(x))
        file = io.BytesIO()
        torch.export.save(program, file)
        file.seek(0)
        assert torch.equal(torch.export.load(file).module()(x), model(x))
