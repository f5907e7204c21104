"""What users do with models goes on working when layers are masked."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import shutil
import weakref
from typing import Any

import pytest
import torch
from torch import nn

import tnm_core as tnm
from tests.torch.networks import (
    Mixed,
    dense_weight,
    mixed_input,
    perceptron,
)
from tnm_core.torch import (
    load_masks_,
    masks,
    remove_sparsity_,
    sparsify_,
)


def _sparse_mixed() -> tuple[Mixed, tuple[Any, Any], Any]:
    model, inputs = Mixed(), mixed_input()
    sparsify_(model, "2:4")
    model.eval()
    return model, inputs, model(*inputs)


def test_state_dict_round_trip() -> None:
    model, inputs, output = _sparse_mixed()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    other = Mixed().eval()
    sparsify_(other, "2:4")
    other.load_state_dict(state)
    assert torch.equal(other(*inputs), output)
    for name, mask in masks(model).items():
        assert torch.equal(masks(other)[name], mask)


def test_the_pattern_is_part_of_the_state() -> None:
    model, other = perceptron(0), perceptron(1)
    sparsify_(model, "4:8")
    sparsify_(other, "2:4")
    other.load_state_dict(model.state_dict())
    assert "4:8" in repr(other)
    assert tnm.is_transposable(masks(other)["0"].numpy(), 4, 8)


def test_deepcopy_and_pickle() -> None:
    model, inputs, output = _sparse_mixed()
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        pickle.loads(pickle.dumps(copy.deepcopy(pickle.loads(pickle.dumps(model))))),
    ):
        assert torch.equal(other(*inputs), output)
        assert other.head.weight is other.embedding.weight
        before = dense_weight(model.hidden).detach().clone()
        with torch.no_grad():
            dense_weight(other.hidden).zero_()
        assert torch.equal(dense_weight(model.hidden), before)
        assert not other.hidden.weight.any()
        remove_sparsity_(other)
        assert type(other.hidden) is nn.Linear


@pytest.mark.parametrize("more", [False, True])
def test_copies_do_not_share_what_torch_changes(more: bool) -> None:
    """Torch gives each parametrised layer a class, and changes it with the parametrisations."""
    model = perceptron()
    sparsify_(model, "2:4")
    if more:
        nn.utils.parametrize.register_parametrization(model[0], "bias", nn.Identity())
    inputs = torch.randn(3, 16)
    output = model(inputs)
    first = copy.deepcopy(model)
    second = copy.deepcopy(first)
    for one in (first, model):
        remove_sparsity_(one)
        assert torch.equal(one(inputs), output)
    assert torch.equal(second(inputs), output)
    assert not hasattr(nn.Linear, "__deepcopy__")
    assert nn.Linear.__reduce_ex__ is object.__reduce_ex__


def test_classes_of_layers_end_with_them() -> None:
    model = perceptron()
    sparsify_(model, "2:4")
    reference = weakref.ref(type(model[0]))
    remove_sparsity_(model)
    gc.collect()
    assert reference() is None


def test_a_shallow_copy_shares_the_weight_and_not_what_masks_it() -> None:
    layer = perceptron(0)[0]
    sparsify_(layer, "2:4")
    inputs = torch.randn(2, layer.in_features)
    output = layer(inputs)
    other = copy.copy(layer)
    assert dense_weight(other) is dense_weight(layer)
    assert torch.equal(other(inputs), output)
    remove_sparsity_(other)
    assert type(other) is nn.Linear
    assert list(masks(layer)) == [""]
    assert torch.equal(layer(inputs), output)


def test_pickle_keeps_attributes_training_and_hooks() -> None:
    model = perceptron()
    model[0].note = "mine"
    sparsify_(model, "2:4", include="0")
    model[0].eval()
    other = pickle.loads(pickle.dumps(model))
    assert other[0].note == "mine"
    assert not other[0].training
    assert not other[0].parametrizations.training
    assert list(other.state_dict()) == list(model.state_dict())


def test_pickle_refuses_what_torch_cannot_pickle() -> None:
    model = perceptron()
    sparsify_(model, "2:4")
    nn.utils.parametrize.register_parametrization(model[0], "bias", nn.Identity())
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(model)


def test_export() -> None:
    model, inputs, output = _sparse_mixed()
    exported = torch.export.export(model, inputs)
    torch.testing.assert_close(exported.module()(*inputs), output)


@pytest.mark.parametrize("mode", ["masked", "straight_through", "fading", "dense"])
def test_compile_in_one_graph(mode: str) -> None:
    """Values and gradients are those of eager, bit for bit, also after the mask has changed."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = perceptron()
    sparsify_(model, "2:4")
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    inputs = torch.randn(4, 16)
    for layer in (model[0], model[2]):
        layer.parametrizations.weight[0].mode = mode
    for change in range(2):
        for layer in (model[0], model[2]):
            chain = layer.parametrizations.weight[0]
            chain.leak.fill_(0.75 - change / 2)
            chain.mask.copy_(chain.mask.roll(4 * change, 1))
        results = []
        for run in (model, compiled):
            model.zero_grad()
            output = run(inputs)
            output.square().sum().backward()
            results.append([output, *(p.grad.clone() for p in model.parameters())])
        for eager, graph in zip(*results, strict=True):
            assert torch.equal(eager, graph)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


# Importing the compiler of torch 2.13 itself warns.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compile_to_machine_code() -> None:
    if shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    torch._dynamo.reset()
    model = perceptron()
    sparsify_(model, "2:4")
    compiled = torch.compile(model, fullgraph=True)
    inputs = torch.randn(4, 16)
    # Compiling headers beforehand and probing vector instructions take longer than the model.
    options = {"cpp_cache_precompile_headers": False, "compile_threads": 1, "cpp.simdlen": 1}
    with torch.no_grad(), torch._inductor.config.patch(options):
        for _ in range(2):
            torch.testing.assert_close(compiled(inputs), model(inputs))
            load_masks_(model, {name: mask.roll(4, 1) for name, mask in masks(model).items()})
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def test_fast_path_of_attention() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True).eval()
    sparsify_(layer, "2:4")
    inputs = torch.randn(2, 5, 16)
    output = layer(inputs)
    with torch.no_grad():
        torch.testing.assert_close(layer(inputs), output)


def test_layers_keep_dtype_and_autocast() -> None:
    model = perceptron().bfloat16()
    sparsify_(model, "2:4")
    assert model[0].weight.dtype == torch.bfloat16
    assert model(torch.ones(2, 16, dtype=torch.bfloat16)).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.float()(torch.ones(2, 16)).dtype == torch.bfloat16
    assert masks(model)["0"].dtype == torch.bool


def test_assigning_to_a_weight_sets_the_dense_one() -> None:
    model = perceptron()
    sparsify_(model, "2:4")
    model[0].weight = torch.ones(24, 16)
    assert (dense_weight(model[0]) == 1).all()
    assert torch.equal(model[0].weight, masks(model)["0"].float())
