"""Which state of a weight a packed form was made from.

Versions are kept beside the tensors, and not in them: a custom op looks them up when it runs, so
that compiled graphs see nothing of them and never recompile because of them.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import torch


class _State(NamedTuple):
    address: int
    weight_version: int
    mask_version: int


class _Record(NamedTuple):
    state: _State
    owner: str


_records: dict[int, _Record] = {}


def record(values: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor, owner: str) -> None:
    """Remember that `values` were packed from the present state of weight and mask."""
    key = values.data_ptr()
    if key == 0:
        return
    if key not in _records:
        weakref.finalize(values, _records.pop, key, None)
    _records[key] = _Record(_state(weight, mask), owner)


def is_stale(values: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor) -> bool:
    """Whether weight or mask changed since `values` were packed; False if nothing is known."""
    found = _records.get(values.data_ptr())
    return found is not None and found.state != _state(weight, mask)


def owner_of(values: torch.Tensor) -> str:
    """Name the layer that packed the values."""
    found = _records.get(values.data_ptr())
    return "a TransposableLinear" if found is None else found.owner


def _state(weight: torch.Tensor, mask: torch.Tensor) -> _State:
    return _State(weight.data_ptr(), _version(weight), _version(mask))


def _version(tensor: torch.Tensor) -> int:
    """How often a tensor was changed in place; inference tensors do not count."""
    return -1 if tensor.is_inference() else tensor._version
