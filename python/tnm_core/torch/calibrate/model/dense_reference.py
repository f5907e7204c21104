"""The dense model that pruning goes by: what does not change is shared, the rest is copied.

What is copied of a large model lies in a temporary file, of which no more need be in memory than
the block that runs.
"""

from __future__ import annotations

import copy
import mmap
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from typing import IO

import torch
from torch import nn

# Bytes below which copies stay in memory.
LEAST_BYTES = 64 << 20
_ALIGNMENT = 64


class DenseFile:
    """Copies of parameters in a temporary file, mapped to memory.

    `copies` are by identity of the parameter. There are none, so that they have to be made in
    memory, if they are small or the disk has no room.
    """

    def __init__(self, model: nn.Module, changing: Iterable[torch.Tensor]) -> None:
        self.copies: dict[int, nn.Parameter] = {}
        self._mapping: mmap.mmap | None = None
        found = _on_their_own(model, changing)
        if sum(one.nbytes for one in found) < max(LEAST_BYTES, 1):
            return
        try:
            with tempfile.TemporaryFile() as file:
                starts = [_append(file, one) for one in found]
                file.flush()
                # Private: what is changed in memory would not change the file.
                self._mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            warnings.warn(
                f"there is no room for dense values in {tempfile.gettempdir()} ({error}); they are "
                "kept in memory, and TMPDIR names another folder",
                stacklevel=2,
            )
            return
        for start, one in zip(starts, found, strict=True):
            values = torch.frombuffer(
                self._mapping, dtype=one.dtype, count=one.numel(), offset=start
            )
            own = nn.Parameter(values.view(one.shape), requires_grad=one.requires_grad)
            self.copies[id(one)] = own

    def release(self) -> None:
        """Let go of the memory; what is read again comes from the file."""
        if self._mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            with suppress(OSError):
                self._mapping.madvise(mmap.MADV_DONTNEED)


def dense_reference(
    model: nn.Module, changing: Iterable[torch.Tensor], file: DenseFile | None = None
) -> nn.Module:
    """Copy a model, all but the parameters that stay as they are, which both models share.

    Whatever has memory in common with parameters that are changing is copied, too; to the file
    what that holds.
    """
    copied = {_memory(one) for one in changing}
    known = {
        id(one): one for one in model.parameters() if _is_plain(one) and _memory(one) not in copied
    }
    if file is not None:
        known |= file.copies
    # What deepcopy finds here it takes for copied already.
    return copy.deepcopy(model, dict(known))


def _on_their_own(model: nn.Module, changing: Iterable[torch.Tensor]) -> list[nn.Parameter]:
    """Return the parameters in the memory of the CPU that share it with nothing else."""
    tensors = {id(one): one for one in chain(model.parameters(), model.buffers())}
    plain = [one for one in tensors.values() if type(one.data) is torch.Tensor and not one.is_meta]
    users = Counter(_memory(one) for one in plain)
    wanted = {id(one): one for one in changing}
    return [
        one
        for one in wanted.values()
        if isinstance(one, nn.Parameter) and _is_plain(one) and one.device.type == "cpu"
        and one.is_contiguous() and one.numel() and users[_memory(one)] == 1
    ]  # fmt: skip


def _append(file: IO[bytes], tensor: torch.Tensor) -> int:
    """Write the values of a tensor at the end of a file; return where they begin."""
    start = -(-file.tell() // _ALIGNMENT) * _ALIGNMENT
    file.write(bytes(start - file.tell()))
    file.write(tensor.detach().reshape(-1).view(torch.uint8).numpy().data)
    return start


def _is_plain(parameter: nn.Parameter) -> bool:
    """Whether its memory can be told: not of sharded or quantised ones, and such without shape."""
    return type(parameter) is nn.Parameter and type(parameter.data) is torch.Tensor


def _memory(tensor: torch.Tensor) -> tuple[torch.device, int]:
    return tensor.device, tensor.untyped_storage().data_ptr()
