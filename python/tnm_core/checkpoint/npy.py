"""``.npy`` files: one array, named after the file."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.base import SingleFile, TensorInfo, Transform, as_bytes, read_exactly
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.records import PruneRecord


@dataclass(frozen=True)
class NpyHeader:
    """What the header of an array in NumPy's format says; ``length`` is its own size in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    length: int

    def info(self, name: str) -> TensorInfo:
        """Describe the array. Python objects are never unpickled, so NumPy cannot hold them."""
        nbytes = math.prod(self.shape) * self.dtype.itemsize
        held = None if self.dtype.hasobject else self.dtype
        return TensorInfo(name, self.shape, self.dtype.name, nbytes, held)


class NpyFile(SingleFile):
    """One ``.npy`` file. The format has no place for metadata."""

    suffix = ".npy"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with ExitStack() as files:
            self._file = files.enter_context(path.open("rb"))
            size = os.fstat(self._file.fileno()).st_size
            self._header = read_npy_header(self._file, size, str(path))
            self._files = files.pop_all()
        self.tensors = {path.stem: self._header.info(path.stem)}

    def _read(self, name: str) -> NDArray[Any]:
        self._file.seek(self._header.length)
        return read_npy_data(self._file, self._header, str(self.path))

    def write_to(self, out: BinaryIO, record: PruneRecord, transform: Transform) -> None:
        """Write the changed file into an open one."""
        name = self.path.stem
        array = self._transformed(name, transform) if record.layers else self.read(name)
        self._file.seek(0)
        out.write(read_exactly(self._file, self._header.length, str(self.path)).data)
        out.write(as_bytes(array.T if self._header.fortran else array))


def read_npy_header(stream: BinaryIO, size: int, label: str) -> NpyHeader:
    """Read the header of an array that, with its header, must fill ``size`` bytes exactly."""
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"format version {version[0]}.{version[1]}")
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise CheckpointError(
            f"{label} is not a valid .npy array ({error}); expected one written by numpy.save"
        ) from None
    header = NpyHeader(shape, dtype, fortran, stream.tell())
    expected = header.length + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or (expected != size and not dtype.hasobject):
        raise CheckpointError(
            f"{label} has {size} bytes, but its header announces {expected} "
            f"({dtype.name}, shape {shape}); it is truncated or damaged, fetch it again"
        )
    return header


def read_npy_data(stream: BinaryIO, header: NpyHeader, label: str) -> NDArray[Any]:
    """Read the array that follows its header, in the memory order of the file."""
    if header.dtype.hasobject:
        raise CheckpointError(f"{label} holds Python objects, which are not read; expected numbers")
    data = read_exactly(stream, math.prod(header.shape) * header.dtype.itemsize, label)
    array = data.view(header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran else "C")
