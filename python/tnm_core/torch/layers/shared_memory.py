"""Which parameters and buffers of a model lie in the same memory, whatever objects they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

# How long to look for an entry that two strided views share, before it is taken for granted.
_MAX_WORK: Any = 100_000
# Addresses of tensors without data are offsets; none may be the null pointer.
_BASE = 1 << 12
_WITHOUT_SHAPE = (UninitializedParameter, UninitializedBuffer)


class SharedMemory:
    """The tensors of a model by the memory that they lie in.

    Views that have no entry in common, such as the chunks of one tensor, share nothing.

    Parameters
    ----------
    model : torch.nn.Module
        Its parameters and buffers are looked at; they may have no data.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names: list[str] = []
        by_tensor: dict[int, set[int]] = {}
        pieces: list[_Piece] = []
        for name, tensor in _named_tensors(model):
            number = len(self._names)
            self._names.append(name)
            by_tensor.setdefault(id(tensor), set()).add(number)
            pieces.extend(_pieces(tensor, number))
        overlapping = _overlapping(pieces)
        self._users = {
            tensor: numbers.union(*(overlapping.get(one, ()) for one in numbers))
            for tensor, numbers in by_tensor.items()
        }

    def users_of(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """Name all that lies in the memory of a tensor of the model, itself first if alone."""
        return tuple(self._names[number] for number in sorted(self._users.get(id(tensor), ())))


def overlaps_itself(tensor: torch.Tensor) -> bool:
    """Tell whether entries of a tensor may be one in memory, as those of expanded tensors are."""
    return any(not _is_injective(piece) for piece in _plain_tensors(tensor))


class _Piece(NamedTuple):
    """A plain tensor: where its memory is, and the bytes from its first to its last."""

    memory: object
    start: int
    stop: int
    owner: int
    tensor: torch.Tensor


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Name parameters and buffers as they were before masks, an object under all its names."""
    for name, module in model.named_modules():
        for own, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and not isinstance(tensor, _WITHOUT_SHAPE):
                full = f"{name}.{own}".removeprefix(".")
                yield full.replace("parametrizations.", "").removesuffix(".original"), tensor


def _plain_tensors(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """List the tensors with memory that one consists of: those inside of subclasses."""
    inner: Any = tensor
    if is_traceable_wrapper_subclass(inner):
        parts = (getattr(inner, name) for name in inner.__tensor_flatten__()[0])
        for part in parts:
            # Those of a DTensor are a tensor and its mesh.
            if isinstance(part, torch.Tensor):
                yield from _plain_tensors(part)
    elif tensor.layout is torch.strided and tensor.numel():
        yield tensor


def _pieces(tensor: torch.Tensor, owner: int) -> Iterator[_Piece]:
    for plain in _plain_tensors(tensor):
        storage = plain.untyped_storage()
        if storage.device.type == "meta":
            memory: object = storage._cdata
            start = _BASE + int(plain.storage_offset()) * plain.element_size()
        else:
            # By address, because two storages can stand for the same memory.
            memory, start = storage.device, plain.data_ptr()
            if start == 0:
                continue
        axes = zip(plain.shape, plain.stride(), strict=True)
        reach = 1 + sum((size - 1) * int(stride) for size, stride in axes)
        yield _Piece(memory, start, start + reach * plain.element_size(), owner, plain)


def _overlapping(pieces: list[_Piece]) -> dict[int, set[int]]:
    """Tell by owner with which others it has bytes in common."""
    found: dict[int, set[int]] = {}
    by_memory: dict[object, list[_Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: piece.start):
        open_ones = by_memory.setdefault(piece.memory, [])
        open_ones[:] = [one for one in open_ones if one.stop > piece.start]
        for one in open_ones:
            if one.owner != piece.owner and _share_bytes(one, piece):
                found.setdefault(one.owner, set()).add(piece.owner)
                found.setdefault(piece.owner, set()).add(one.owner)
        open_ones.append(piece)
    return found


def _share_bytes(first: _Piece, second: _Piece) -> bool:
    if first.tensor is second.tensor:
        return True
    try:
        return np.shares_memory(_addresses(first), _addresses(second), max_work=_MAX_WORK)
    except np.exceptions.TooHardError:
        return True


class _Addresses:
    """Memory as NumPy takes it; it is asked for addresses alone, and never read."""

    def __init__(self, piece: _Piece) -> None:
        size = piece.tensor.element_size()
        self.__array_interface__: dict[str, Any] = {
            "version": 3,
            "shape": tuple(piece.tensor.shape),
            "strides": tuple(stride * size for stride in piece.tensor.stride()),
            "typestr": f"|V{size}",
            "data": (piece.start, True),
        }


def _addresses(piece: _Piece) -> NDArray[np.void]:
    return np.asarray(_Addresses(piece))


def _is_injective(tensor: torch.Tensor) -> bool:
    """Tell whether each axis steps over all that the axes of smaller strides reach."""
    reach = 0
    axes = ((stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True))
    for stride, size in sorted(axis for axis in axes if axis[1] > 1):
        if stride <= reach:
            return False
        reach += stride * (size - 1)
    return True
