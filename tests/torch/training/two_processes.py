"""Training with masks in two processes; each scenario writes "ok" or what went wrong.

Run as ``python two_processes.py FOLDER RANK``: both ranks meet in FOLDER and leave their results
there, one file a scenario and rank.
"""

from __future__ import annotations

import copy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

import tnm_core as tnm
from tnm_core.torch import (
    SRSTE,
    DynamicMask,
    StaticMask,
    apply_masks_,
    load_masks_,
    masks,
    nm_mask,
    remove_sparsity_,
    sparsify_,
    transposable_mask,
)

SCENARIOS: dict[str, Callable[[int], None]] = {}


def scenario(run: Callable[[int], None]) -> Callable[[int], None]:
    SCENARIOS[run.__name__] = run
    return run


def _model(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv1d(8, 16, 3), nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16)
    return nn.Sequential(*layers).to(dtype)


def _batch(step: int, rank: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(100 * step + rank)
    return torch.randn(4, 8, 6, generator=generator, dtype=dtype)


def _shard(model: nn.Sequential) -> nn.Module:
    for layer in (model[0], model[2], model[4]):
        fully_shard(layer)
    return fully_shard(model)


def _step(model: nn.Module, optimizer: Any, *batches: torch.Tensor) -> None:
    optimizer.zero_grad()
    for batch in batches:
        ((model(batch) - 1).square().mean() / len(batches)).backward()
    optimizer.step()


def _whole(value: torch.Tensor) -> torch.Tensor:
    value = value.detach()
    return value.full_tensor() if isinstance(value, DTensor) else value


def _assert_same_on_both(values: dict[str, torch.Tensor]) -> None:
    for name, value in values.items():
        both = [torch.empty_like(value) for _ in range(2)]
        dist.all_gather(both, value.contiguous())
        assert torch.equal(*both), name


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name.removeprefix("module."): _whole(value) for name, value in model.named_parameters()}


def _compare_with_one_process(wrap: Callable[[nn.Sequential], nn.Module], rank: int) -> None:
    """Two ranks with half of the batch each train what one process trains with all of it."""
    alone, shared = _model(), _model()
    results = []
    for model, batches in ((alone, lambda s: [_batch(s, 0), _batch(s, 1)]),
                           (shared, lambda s: [_batch(s, rank)])):  # fmt: skip
        sparsify_(model, "2:4", include=["0", "2"])
        sparsify_(model, "4:8")
        run = model if model is alone else wrap(model)
        optimizer = torch.optim.SGD(run.parameters(), lr=3.0)
        dynamic = DynamicMask(every=2).attach(run, optimizer)
        SRSTE(decay=0.02).attach(run, optimizer)
        for step in range(6):
            _step(run, optimizer, *batches(step))
        results.append((masks(run), _weights(run), dynamic.to_records()))
    (expected, weights, records), (found, found_weights, found_records) = results
    assert list(found) == ["0", "2", "4"]
    for name, mask in expected.items():
        assert torch.equal(found[name], mask), name
    _assert_same_on_both(found)
    for name, weight in weights.items():
        torch.testing.assert_close(found_weights[name], weight, rtol=1e-9, atol=1e-12)
    assert any(record["sad"] for record in records)
    for one, other in zip(records, found_records, strict=True):
        assert abs(one.pop("retained") - other.pop("retained")) < 1e-12
        assert one == other


def _resume(wrap: Callable[[nn.Sequential], nn.Module], rank: int) -> None:
    """Stop, load and go on: every bit as without the stop."""

    def build() -> tuple[nn.Module, list[Any]]:
        model = _model(torch.float32)
        sparsify_(model, "4:8")
        run = wrap(model)
        optimizer = torch.optim.AdamW(run.parameters(), lr=0.05)
        hooks = [DynamicMask(every=2, schedule={0: "4:8", 5: "2:4"}), SRSTE(0.1, form="decoupled")]
        return run, [run, optimizer, *(hook.attach(run, optimizer) for hook in hooks)]

    run, parts = build()
    for step in range(7):
        if step == 4:
            states = copy.deepcopy([part.state_dict() for part in parts])
        _step(run, parts[1], _batch(step, rank, torch.float32))
    other, other_parts = build()
    for part, state in zip(other_parts, states, strict=True):
        part.load_state_dict(state)
    for step in range(4, 7):
        _step(other, other_parts[1], _batch(step, rank, torch.float32))
    for name, value in _weights(run).items():
        assert torch.equal(_weights(other)[name], value), name
    for name, mask in masks(run).items():
        assert torch.equal(masks(other)[name], mask), name
    assert all(tnm.is_transposable(masks(other)[name].numpy(), 2, 4) for name in ("2", "4"))


@scenario
def ddp_is_like_one_process(rank: int) -> None:
    _compare_with_one_process(nn.parallel.DistributedDataParallel, rank)


@scenario
def fsdp_is_like_one_process(rank: int) -> None:
    _compare_with_one_process(_shard, rank)


@scenario
def ddp_resumes_exactly(rank: int) -> None:
    _resume(nn.parallel.DistributedDataParallel, rank)


@scenario
def fsdp_resumes_exactly(rank: int) -> None:
    _resume(_shard, rank)


@scenario
def fsdp_static(rank: int) -> None:
    model = _model()
    sparsify_(model, "2:4")
    before = masks(model)
    _shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.1)
    StaticMask().attach(model, optimizer)
    for step in range(3):
        _step(model, optimizer, _batch(step, rank))
    for name, mask in before.items():
        layer: Any = model.get_submodule(name)
        assert torch.equal(_whole(layer.parametrizations.weight.original) != 0, mask), name
        assert torch.equal(_whole(layer.weight) != 0, mask), name


@scenario
def fsdp_in_bfloat16_on_a_mesh_of_two_axes(rank: int) -> None:
    model = _model(torch.float32)
    sparsify_(model, "2:4")
    mesh = init_device_mesh("cpu", (2, 1), mesh_dim_names=("replicate", "shard"))
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    for step in range(3):
        _step(model, optimizer, _batch(step, rank, torch.float32))
    assert any(record.sad for record in dynamic.statistics)
    _assert_same_on_both({**masks(model), **_weights(model)})
    for name, mask in masks(model).items():
        layer: Any = model.get_submodule(name)
        dense = _whole(layer.parametrizations.weight.original)
        assert torch.equal(transposable_mask(dense, 2, 4, axes=(0, 1)), mask)


@scenario
def fsdp_row_wise(rank: int) -> None:
    """Shards may cut anywhere but within groups of inputs."""
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)).double()
    sparsify_(model, "row 2:4", include="0")
    fully_shard(model[0])
    fully_shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    for step in range(3):
        _step(model, optimizer, _batch(step, rank)[0, :, :].T)
    assert any(record.sad for record in dynamic.statistics)
    _assert_same_on_both({**masks(model), **_weights(model)})
    dense = _whole(model[0].parametrizations.weight.original)
    assert torch.equal(nm_mask(dense, 2, 4), masks(model)["0"])


@scenario
def fsdp_masks_are_loaded_and_applied(rank: int) -> None:
    model, other = _model(), _model()
    sparsify_(model, "2:4")
    _shard(model)
    torch.manual_seed(1)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    sparsify_(other, "2:4")
    load_masks_(model, masks(other))
    apply_masks_(model)
    for name, mask in masks(other).items():
        layer: Any = model.get_submodule(name)
        assert torch.equal(_whole(layer.parametrizations.weight.original) != 0, mask), name


@scenario
def fsdp_checkpoints_load_into_models_that_are_not_sharded(rank: int) -> None:
    model, whole = _model(), _model()
    sparsify_(model, "2:4")
    sparsify_(whole, "4:8")
    _shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
    DynamicMask(every=1).attach(model, optimizer)
    _step(model, optimizer, _batch(0, rank))
    output, taken = model(_batch(1, 0)), masks(model)
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    if rank == 0:
        whole.load_state_dict(state)
        remove_sparsity_(whole)
        torch.testing.assert_close(whole(_batch(1, 0)), output)
        assert all(torch.equal(whole.get_submodule(k).weight != 0, v) for k, v in taken.items())


def _assert_refused(call: Callable[[], Any], *told: str) -> None:
    try:
        call()
    except ValueError as error:
        message = str(error)
        assert "expected" in message, message
        assert "\n" not in message, message
        assert all(part in message for part in told), message
    else:
        raise AssertionError("it was not refused")


@scenario
def fsdp_shards_within_tiles_are_refused(rank: int) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 12))
    sparsify_(model, "2:4")
    fully_shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    dynamic = DynamicMask()
    _assert_refused(lambda: dynamic.attach(model, optimizer), "layer '2'", "pieces of 6", "m = 4")
    assert not dynamic.is_attached
    StaticMask().attach(model, optimizer)


@scenario
def sharded_models_are_refused_where_they_do_not_work(rank: int) -> None:
    model = _model()
    _shard(model)
    _assert_refused(lambda: sparsify_(model, "2:4"), "call sparsify_ before fully_shard")
    model = _model()
    sparsify_(model, "2:4")
    _shard(model)
    _assert_refused(lambda: remove_sparsity_(model), "layer '0'", "sharded")


@scenario
def dtensors(rank: int) -> None:
    mesh = init_device_mesh("cpu", (2,))
    torch.manual_seed(0)
    tensor = torch.randn(24, 32)
    for n, m in ((2, 4), (4, 8)):
        expected = torch.from_numpy(tnm.transposable_mask(tensor.numpy(), n, m))
        for placement in (Shard(0), Shard(1), Replicate()):
            if placement == Shard(0) and m == 8:
                continue
            sharded = distribute_tensor(tensor, mesh, [placement])
            mask = transposable_mask(sharded, n, m)
            assert isinstance(mask, DTensor)
            assert mask.placements == sharded.placements
            assert mask.shape == sharded.shape
            assert torch.equal(mask.full_tensor(), expected)
            rows = torch.from_numpy(tnm.nm_mask(tensor.numpy(), n, m))
            found: Any = nm_mask(sharded, n, m)
            assert found.placements == sharded.placements
            assert torch.equal(found.full_tensor(), rows)
    plane = init_device_mesh("cpu", (2, 1), mesh_dim_names=("rows", "columns"))
    expected = torch.from_numpy(tnm.transposable_mask(tensor.numpy(), 2, 4))
    for placements in ([Shard(0), Shard(1)], [Replicate(), Shard(0)], [Shard(0), Shard(0)]):
        mask = transposable_mask(distribute_tensor(tensor, plane, placements), 2, 4)
        assert torch.equal(mask.full_tensor(), expected)
    batch = distribute_tensor(torch.randn(5, 8, 8), mesh, [Shard(0)])
    whole = np.stack([tnm.transposable_mask(one.numpy(), 2, 4) for one in batch.full_tensor()])
    assert np.array_equal(transposable_mask(batch, 2, 4).full_tensor().numpy(), whole)


@scenario
def dtensors_cut_within_tiles(rank: int) -> None:
    mesh = init_device_mesh("cpu", (2,))
    tensor = distribute_tensor(torch.randn(24, 32), mesh, [Shard(0)])
    _assert_refused(lambda: transposable_mask(tensor, 4, 8), "axis 0", "pieces of 12", "m = 8")
    _assert_refused(lambda: nm_mask(tensor, 4, 8, axis=0), "axis 0", "pieces of 12", "m = 8")
    small = distribute_tensor(torch.randn(4, 4), mesh, [Shard(1)])
    _assert_refused(lambda: transposable_mask(small, 2, 4), "axis 1", "pieces of 2")
    partial = DTensor.from_local(torch.randn(8, 8), mesh, [Partial()])
    _assert_refused(lambda: transposable_mask(partial, 2, 4), "Partial", "redistribute")


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2
    )
    for name, run in SCENARIOS.items():
        try:
            run(rank)
            result = "ok"
        except BaseException:
            result = traceback.format_exc()
        (folder / f"{name}.{rank}").write_text(result)
        if result != "ok":
            # The other rank may wait for this one for ever; it ends when the connection breaks.
            sys.exit(1)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
