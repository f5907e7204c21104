"""What other code does to models around masks: it works, or is refused before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.utils import parametrizations, prune

from tests.torch.networks import perceptron
from tests.torch.refusals import assert_refused
from tnm_core.torch import (
    masks,
    pack_for_inference_,
    prune_model_,
    remove_sparsity_,
    sparsify_,
    to_sparse_linear_,
)

REFUSED: dict[str, Callable[[nn.Module], Any]] = {
    "weight_norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
    "weight_norm of hooks": nn.utils.weight_norm,
    "spectral_norm of hooks": nn.utils.spectral_norm,
    "prune": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    "prune nothing": lambda layer: prune.identity(layer, "weight"),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_would_break_a_mask_is_refused(change: Callable[[nn.Module], Any]) -> None:
    model = perceptron()
    sparsify_(model, "2:4")
    inputs = torch.randn(3, 16)
    output, state = model(inputs), list(model.state_dict())
    assert_refused(lambda: change(model[0]), ValueError, "weight' is masked", "remove_sparsity_")
    assert list(model.state_dict()) == state
    assert torch.equal(model(inputs), output)
    remove_sparsity_(model)
    change(model[0])


class _Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def test_what_keeps_zeros_may_stand_on_a_mask() -> None:
    model = perceptron()
    sparsify_(model, "2:4")
    weight = model[0].weight.detach().clone()
    nn.utils.parametrize.register_parametrization(model[0], "weight", _Doubled())
    assert torch.equal(model[0].weight, 2 * weight)
    parametrizations.spectral_norm(model[2])
    assert not model[2].weight[~masks(model)["2"]].any()
    nn.utils.parametrize.register_parametrization(model[0], "bias", _Doubled())


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_stands_on_a_weight_already_is_named(change: Callable[[nn.Module], Any]) -> None:
    model = perceptron()
    change(model[0])
    (skipped,) = (one for one in sparsify_(model, "2:4").skipped if one.name == "0")
    assert "parametrisation" in str(skipped.reason) or "computed" in str(skipped.reason)


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("kind", ["DistributedDataParallel", "FullyShardedDataParallel"])
@pytest.mark.filterwarnings("ignore:.*FSDP.*", "ignore:.*fully_shard.*")
def test_masks_come_before_what_shares_out_gradients(kind: str) -> None:
    wraps: dict[str, Callable[[nn.Module], nn.Module]] = {
        "DistributedDataParallel": nn.parallel.DistributedDataParallel,
        "FullyShardedDataParallel": lambda model: FullyShardedDataParallel(
            model, device_id=torch.device("cpu"), use_orig_params=True
        ),
    }
    for convert in (sparsify_, to_sparse_linear_, pack_for_inference_):
        wrapped = wraps[kind](perceptron())
        for model in (wrapped, nn.Sequential(wrapped)):
            assert_refused(
                lambda model=model, convert=convert: convert(model, "2:4"),
                ValueError,
                kind,
                convert.__name__,
            )
        assert sum(type(one) is nn.Linear for one in wrapped.modules()) == 2
        assert not masks(wrapped)


def test_layers_made_under_inference_mode_are_named() -> None:
    with torch.inference_mode():
        made = nn.Linear(16, 16)
    model = nn.Sequential(nn.Linear(16, 16), made)
    calls: list[Callable[[], Any]] = [
        lambda: sparsify_(model, "2:4"),
        lambda: to_sparse_linear_(model, "2:4"),
        lambda: prune_model_(model, [torch.randn(32, 16)], "2:4"),
    ]
    for call in calls:
        assert_refused(call, ValueError, "'1'", "inference_mode")
    assert [type(layer) for layer in model] == [nn.Linear, nn.Linear]
    assert not masks(model)


@pytest.mark.parametrize(
    "make_sparse",
    [
        sparsify_,
        to_sparse_linear_,
        lambda model: prune_model_(model, [torch.randn(64, 16)]),
        lambda model: pack_for_inference_(model, "2:4", backend="cpu"),
    ],
)
def test_models_changed_under_inference_mode_can_be_trained(
    make_sparse: Callable[[nn.Module], Any],
) -> None:
    model = perceptron()
    with torch.inference_mode():
        make_sparse(model)
        if make_sparse not in (sparsify_, to_sparse_linear_):
            remove_sparsity_(model)
    model(torch.randn(5, 16)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    remove_sparsity_(model)


def test_compiled_models_are_changed_inside() -> None:
    torch._dynamo.reset()
    inputs = torch.randn(3, 16)
    for convert in (sparsify_, to_sparse_linear_, pack_for_inference_):
        model = perceptron()
        compiled = torch.compile(model, backend="eager")
        compiled(inputs)
        options = {} if convert is sparsify_ else {"backend": "cpu"}
        convert(compiled, "2:4", **options)
        torch.testing.assert_close(compiled(inputs), model(inputs))
        assert (model[0].weight == 0).sum() == 192 or masks(model)["0"].sum() == 192


def test_a_compiled_layer_is_not_replaced_behind_its_back() -> None:
    model = nn.Sequential(torch.compile(nn.Linear(16, 16), backend="eager"), nn.Linear(16, 16))
    report = to_sparse_linear_(model, "2:4", backend="dense")
    assert list(report.converted) == ["1"]
    assert "compile it afterwards" in report.skipped["0._orig_mod"]
    model[1] = torch.compile(model[1], backend="eager")
    with pytest.raises(ValueError, match=r"'1._orig_mod' is compiled"):
        remove_sparsity_(model)


@pytest.mark.parametrize("first", [True, False])
def test_channels_last_is_kept(first: bool) -> None:
    model = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv3d(8, 8, 2))
    layouts = (torch.channels_last, torch.channels_last_3d)
    if not first:
        sparsify_(model, "2:4")
    for layer, layout in zip(model, layouts, strict=True):
        layer.to(memory_format=layout)
    if first:
        sparsify_(model, "2:4")
    for mode in ("masked", "straight_through", "fading", "dense"):
        for training in (True, False):
            for layer, layout in zip(model.train(training), layouts, strict=True):
                layer.parametrizations.weight[0].mode = mode
                assert layer.weight.is_contiguous(memory_format=layout)
    images = torch.randn(1, 8, 5, 5).to(memory_format=torch.channels_last)
    assert model[0](images).is_contiguous(memory_format=torch.channels_last)
