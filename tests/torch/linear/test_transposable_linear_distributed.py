"""Two gloo processes: DDP and FSDP2 train as one process does on the whole batch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from tnm_core.torch import nm_mask, repack_after_step, to_sparse_linear_, transposable_mask

WORLD, STEPS = 2, 4


def _model(backend: str) -> Any:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 16))
    to_sparse_linear_(model, "2:4", include="0", backend=backend)
    to_sparse_linear_(model, "row 2:4", include="2", backend=backend)
    return model


def _sharded(model: Any) -> Any:
    mesh = init_device_mesh("cpu", (WORLD,))
    for layer in (model[0], model[2]):
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def _train(call: Any, model: Any, part: slice, *, maintained: bool = True) -> None:
    """Train; maintained means repacking after steps and one refresh of the masks."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if maintained:
        repack_after_step(optimizer, model)
    for step in range(STEPS):
        x = torch.randn(4, 2, 32, generator=torch.Generator().manual_seed(step))
        (call(x[part]) - x[part, :, :16]).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        if maintained and step == 1:
            for layer in (model[0], model[2]):
                weight = layer.weight.detach()
                whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
                find = transposable_mask if layer.pattern.transposable else nm_mask
                layer.set_mask(find(whole.clone(), 2, 4))


def _work(rank: int, folder: str, backend: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=WORLD)
    try:
        alone, replicated, sharded = _model(backend), _model(backend), _sharded(_model(backend))
        part = slice(rank, None, WORLD)
        _train(alone, alone, slice(None))
        _train(DistributedDataParallel(replicated), replicated, part)
        _train(sharded, sharded, part)
        left_alone, sharded_alone = _model(backend), _sharded(_model(backend))
        _train(left_alone, left_alone, slice(None), maintained=False)
        _train(sharded_alone, sharded_alone, part, maintained=False)
        assert sharded[0].backend_reason == "the weight is sharded: packed when it is gathered"
        found = {
            "alone": alone.state_dict(),
            "replicated": replicated.state_dict(),
            "sharded": _whole(sharded.state_dict()),
            "left alone": left_alone.state_dict(),
            "sharded, left alone": _whole(sharded_alone.state_dict()),
        }
        torch.save(copy.deepcopy(found), f"{folder}/rank{rank}.pt")
        x = torch.randn(4, 32, generator=torch.Generator().manual_seed(9))
        for model in (alone, sharded):  # several forward passes before one backward pass
            model.zero_grad()
            (model(x).sum() + model(2 * x).square().sum()).backward()
        gradients = _whole({name: one.grad for name, one in sharded.named_parameters()})
        for name, one in alone.named_parameters():
            assert torch.allclose(gradients[name], one.grad, atol=1e-3), name
        for _ in range(4):
            assert torch.allclose(sharded(x), alone(x), atol=1e-4), "a change no hook was told of"
            for model in (alone, sharded):
                with torch.no_grad():
                    model[0].weight.mul_(1.5)
    finally:
        dist.destroy_process_group()


def _whole(state: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.full_tensor() if hasattr(value, "full_tensor") else value
        for name, value in state.items()
    }


@pytest.mark.parametrize("backend", ["cpu", "emulate"])
def test_two_processes_train_as_one(tmp_path: Path, backend: str) -> None:
    torch.multiprocessing.spawn(_work, (str(tmp_path), backend), nprocs=WORLD)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(WORLD))
    references = {"replicated": "alone", "sharded": "alone", "sharded, left alone": "left alone"}
    for kind, reference in references.items():
        for name, expected in first[reference].items():
            assert torch.equal(first[kind][name], second[kind][name]), (kind, name)
            if name.endswith("mask"):
                assert torch.equal(first[kind][name], expected), (kind, name)
            else:
                assert torch.allclose(first[kind][name], expected, atol=1e-6), (kind, name)
