"""``.npy`` files: one array, named after the file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.base import (
    SingleFile,
    TensorInfo,
    Transform,
    copy_exactly,
    open_regular,
    read_exactly,
)
from tnm_core.checkpoint.blocks import Box
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.limits import MAX_NPY_HEADER_BYTES
from tnm_core.checkpoint.parsing import as_shape, parsing
from tnm_core.checkpoint.records import PruneRecord
from tnm_core.checkpoint.writing import PlannedFile


@dataclass(frozen=True)
class NpyHeader:
    """What the header of an array in NumPy's format says; ``length`` is its own size in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    length: int

    def info(self, name: str) -> TensorInfo:
        """Describe the array. Python objects are never unpickled, so NumPy cannot hold them."""
        held = None if self.dtype.hasobject or self.dtype.itemsize == 0 else self.dtype
        return TensorInfo(name, self.shape, self.dtype.name, self.nbytes, held, self.fortran)

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


_VERSIONS: dict[tuple[int, int], tuple[int, Callable[[BinaryIO], Any]]] = {
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}
"""Versions of the format: bytes that tell the header's length, and what reads it from there."""


class NpyFile(SingleFile):
    """One ``.npy`` file. The format has no place for metadata."""

    suffix = ".npy"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with ExitStack() as files:
            self._file = files.enter_context(open_regular(path))
            size = os.fstat(self._file.fileno()).st_size
            self._header = read_npy_header(self._file, size, str(path))
            self._files = files.pop_all()
        # Names of files need not be UTF-8, names of tensors in a file that is written must be.
        self._name = os.fsencode(path.stem).decode("utf-8", "replace")
        self.tensors = {self._name: self._header.info(self._name)}

    def _read_block(self, name: str, box: Box) -> NDArray[Any]:
        check_readable(self._header, str(self.path))
        return super()._read_block(name, box)

    def _read_bytes(self, name: str, start: int, nbytes: int) -> NDArray[np.uint8]:
        self._file.seek(self._header.length + start)
        return read_exactly(self._file, nbytes, str(self.path))

    def write_to(
        self,
        out: BinaryIO,
        record: PruneRecord,
        transform: Transform,
        further: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the changed file into an open one."""
        check_readable(self._header, str(self.path))
        self._file.seek(0)
        copy_exactly(self._file, out, self._header.length, str(self.path))
        if record.layers:
            self._write_transformed(out, self._name, transform)
        else:
            copy_exactly(self._file, out, self._header.nbytes, str(self.path))

    def plan_part(
        self,
        target: Path,
        record: PruneRecord,
        further: Mapping[str, str] = MappingProxyType({}),
        *,
        last: bool = False,
    ) -> PlannedFile:
        """Plan the changed file."""
        check_readable(self._header, str(self.path))
        self._file.seek(0)
        head = read_exactly(self._file, self._header.length, str(self.path)).tobytes()
        return PlannedFile.of(target, head, {self._name: self._header.nbytes}, last=last)


def read_npy_header(stream: BinaryIO, size: int, label: str) -> NpyHeader:
    """Read the header of an array that, with its header, must fill ``size`` bytes exactly."""
    with parsing(f"{label} is not a valid .npy array", "expected one written by numpy.save"):
        version = np.lib.format.read_magic(stream)
        if version not in _VERSIONS:
            raise ValueError(f"format version {version[0]}.{version[1]}")
        width, read = _VERSIONS[version]
        prefix = stream.read(width)
        length = int.from_bytes(prefix, "little")
        if length > MAX_NPY_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes, more than {MAX_NPY_HEADER_BYTES}")
        shape, fortran, dtype = read(BytesIO(prefix + stream.read(length)))
    shape = as_shape(shape, dtype.itemsize, label)
    header = NpyHeader(shape, dtype, fortran, np.lib.format.MAGIC_LEN + width + length)
    expected = header.length + math.prod(shape) * dtype.itemsize
    if expected != size and not dtype.hasobject:
        raise CheckpointError(
            f"{label} has {size} bytes, but its header announces {expected} "
            f"({dtype.name}, shape {shape}); it is truncated or damaged, fetch it again"
        )
    return header


def check_readable(header: NpyHeader, label: str) -> None:
    """Check that the array holds numbers: Python objects are never unpickled."""
    if header.dtype.hasobject:
        raise CheckpointError(f"{label} holds Python objects, which are not read; expected numbers")
    if header.dtype.itemsize == 0:
        raise CheckpointError(f"{label} has entries of no bytes; expected numbers")
