"""Tensors of a safetensors file that is being written, whose data is made when its turn comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.base import Checkpoint, as_bytes
from tnm_core.checkpoint.dtypes import dtype_code
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.safetensors_file import HeaderEntry, write_header


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file: what its header says, and what writes its bytes."""

    entry: HeaderEntry
    write: Callable[[BinaryIO], object]

    @classmethod
    def of(
        cls,
        name: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        read: Callable[[], NDArray[Any]],
    ) -> StoredTensor:
        """Describe a tensor that `read` returns; `TypeError` if safetensors lacks its dtype."""
        code = dtype_code(dtype)
        if code is None:
            raise TypeError(
                f"{name!r} has dtype {dtype}, which safetensors lacks; "
                "expected a PackedMatrix or an array of numbers or bool"
            )
        little = dtype.newbyteorder("<")
        size = math.prod(shape) * dtype.itemsize

        def write(out: BinaryIO) -> None:
            array = read()
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, {shape} was announced")
            out.write(as_bytes(array.astype(little, copy=False)))

        return cls(HeaderEntry(name, code, shape, size), write)

    @classmethod
    def copied(cls, checkpoint: Checkpoint, name: str) -> StoredTensor:
        """Take over a tensor of another file; `CheckpointError` if safetensors lacks its dtype."""
        info = checkpoint.tensors[name]
        dtype = info.array_dtype
        if dtype is not None and dtype_code(dtype) is None:
            raise CheckpointError(
                f"{checkpoint.path}: {name!r} has dtype {info.dtype}, which safetensors lacks"
            )
        if dtype is not None and (info.fortran or dtype.byteorder == ">"):
            return cls.of(name, dtype, info.shape, lambda: checkpoint.read(name))
        code = info.dtype if dtype is None else str(dtype_code(dtype))
        entry = HeaderEntry(name, code, info.shape, info.nbytes)
        return cls(entry, lambda out: checkpoint.copy_bytes(name, out))


def write_tensors(
    out: BinaryIO, tensors: Iterable[StoredTensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors into an open file, those of wide elements first.

    Then all are aligned, which readers that map the file rely on.
    """
    ordered = sorted(tensors, key=lambda tensor: -_element_bits(tensor.entry))
    write_header(out, [tensor.entry for tensor in ordered], metadata)
    for tensor in ordered:
        tensor.write(out)


def _element_bits(entry: HeaderEntry) -> int:
    """Tell how wide elements are; of dtypes that NumPy lacks some are narrower than a byte."""
    entries = math.prod(entry.shape)
    return 8 * entry.nbytes // entries if entries else 0
