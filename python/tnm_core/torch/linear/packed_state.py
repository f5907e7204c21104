"""Which state of a weight a packed form was made from.

Versions are kept beside the tensors, and not in them: a custom op looks them up when it runs, so
that compiled graphs see nothing of them and never recompile because of them.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.weak import WeakTensorKeyDictionary


class _State(NamedTuple):
    address: int
    weight_version: int
    mask_version: int


class _Record(NamedTuple):
    state: _State
    owner: str


_records: dict[int, _Record] = {}
_packed_weights: Any = WeakTensorKeyDictionary()
_watched: list[Any] = []


def record(values: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor, owner: str) -> None:
    """Remember that `values` were packed from the present state of weight and mask."""
    key = values.data_ptr()
    if key == 0:
        return
    if key not in _records:
        weakref.finalize(values, _records.pop, key, None)
    _records[key] = _Record(_state(weight, mask), owner)
    _packed_weights[weight] = True
    if not _watched:
        _watched.append(register_optimizer_step_pre_hook(_count_step))


def is_fresh(values: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor) -> bool | None:
    """Whether weight and mask are as they were when `values` were packed; None if not known."""
    found = _records.get(values.data_ptr())
    return None if found is None else found.state == _state(weight, mask)


def owner_of(values: torch.Tensor) -> str:
    """Name the layer that packed the values."""
    found = _records.get(values.data_ptr())
    return "a TransposableLinear" if found is None else found.owner


def _count_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Count what an optimizer is about to change: fused ones move no version counter."""
    # A gradient scaler tells fused optimizers in this way to leave a step out.
    if torch.compiler.is_compiling() or bool(getattr(optimizer, "found_inf", False)):
        return
    parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
    # A step on shards changes weights that are gathered later, into tensors that are not told.
    changed = _packed_weights if any(map(is_sharded, parameters)) else parameters
    for weight in list(changed):
        if weight in _packed_weights:
            torch.autograd.graph.increment_version(weight)


def is_sharded(weight: torch.Tensor) -> bool:
    """Whether a weight is the shard of a distributed tensor, without importing those."""
    return hasattr(weight, "full_tensor")


def _state(weight: torch.Tensor, mask: torch.Tensor) -> _State:
    return _State(weight.data_ptr(), _version(weight), _version(mask))


def _version(tensor: torch.Tensor) -> int:
    """How often a tensor was changed in place; inference tensors do not count."""
    return -1 if tensor.is_inference() else tensor._version
