"""What every checkpoint format offers: named tensors, read one at a time, and rewriting."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.blocks import Box, box_shape, runs_of_box
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.parsing import as_array
from tnm_core.checkpoint.records import PruneRecord, parse_records
from tnm_core.checkpoint.writing import FileTransaction, PlannedFile, disk_errors

CHUNK_BYTES = 1 << 22
_Self = TypeVar("_Self", bound="Checkpoint")  # typing.Self needs Python 3.11


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor as its file describes it.

    ``dtype`` is for people; ``array_dtype`` is what NumPy calls it, None if it cannot hold it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    array_dtype: np.dtype[Any] | None
    fortran: bool = False  # the first axis runs fastest in the file

    @property
    def entries(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


Transform = Callable[[TensorInfo], Iterable[NDArray[Any]]]
"""Yields what to write of a tensor, in blocks of its dtype that follow each other in the file."""


class Checkpoint(ABC):
    """Named tensors in one or several files; nothing is read before it is asked for.

    Attributes
    ----------
    path : Path
        The file (of a sharded checkpoint: its index).
    suffix : str
        How the name of a file of this format ends.
    tensors : dict of str to TensorInfo
        In the order in which they lie in the file.
    metadata : dict of str to str
        As stored in the file, where the format has a place for it.
    notes : tuple of str
        What users should know of how the file was read.
    """

    suffix: str
    tensors: dict[str, TensorInfo]
    notes: tuple[str, ...] = ()
    _files: ExitStack

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: dict[str, str] = {}

    @property
    def records(self) -> list[PruneRecord]:
        """Earlier runs of pruning that the file tells of, latest first."""
        return parse_records(self.metadata, str(self.path))

    @property
    def paths(self) -> list[Path]:
        """The files that it is made of; of a sharded checkpoint the index is the last."""
        return [self.path]

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor into writable memory of its own."""
        self._check_names([name])
        return self._read(name)

    @abstractmethod
    def _read(self, name: str) -> NDArray[Any]:
        """Read a tensor that is there."""

    def read_block(self, name: str, box: Box) -> NDArray[Any]:
        """Read a part of a tensor, a slice with start and stop for each axis."""
        self._check_names([name])
        return self._read_block(name, box)

    @abstractmethod
    def _read_block(self, name: str, box: Box) -> NDArray[Any]:
        """Read a part of a tensor that is there."""

    @abstractmethod
    def copy_bytes(self, name: str, out: BinaryIO) -> None:
        """Write the bytes of a tensor as they lie in its file, piece by piece."""

    def stored_bytes(self, name: str) -> int:
        """Tell how many bytes of the file a tensor takes, which may be fewer than when read."""
        return self.tensors[name].nbytes

    @property
    def parts(self) -> dict[str, Checkpoint]:
        """The files with tensors that it is made of, by name."""
        return {self.path.name: self}

    @abstractmethod
    def targets(self, out: Path) -> list[Path]:
        """List the files that `rewrite` would make for ``out``."""

    def rewrite(self, out: Path, record: PruneRecord, transform: Transform) -> None:
        """Copy the checkpoint to ``out``, with ``transform`` applied to ``record.layers``.

        Every other tensor is copied byte for byte. Files appear at once, when all is written.
        """
        with FileTransaction() as transaction:
            self.write_into(transaction, out, record, transform)

    @abstractmethod
    def write_into(
        self, transaction: FileTransaction, out: Path, record: PruneRecord, transform: Transform
    ) -> None:
        """Do the same as a part of what is written at once."""

    @abstractmethod
    def plan(self, out: Path, record: PruneRecord, run: str) -> list[PlannedFile]:
        """Plan the files that `rewrite` would make, so that many can write them.

        ``run`` is told by the files of a sharded checkpoint: the same in those of one run.
        """

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _check_names(self, names: Collection[str]) -> None:
        """Raise if a name is not that of a tensor."""
        for name in names:
            if name not in self.tensors:
                raise CheckpointError(
                    f"{self.path} holds no tensor {name!r}; see tnm inspect {self.path}"
                )

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class SingleFile(Checkpoint):
    """A checkpoint in one file, which is rewritten to one file with the same ending."""

    def targets(self, out: Path) -> list[Path]:
        """List the file itself, if its name ends as the format wants."""
        if out.suffix.lower() != self.suffix:
            raise CheckpointError(
                f"cannot write {out}: the input is a {self.suffix} file, so the output must be "
                f"one too: name it like {out.with_suffix(self.suffix).name}"
            )
        return [out]

    def write_into(
        self, transaction: FileTransaction, out: Path, record: PruneRecord, transform: Transform
    ) -> None:
        """Copy to ``out`` with ``transform`` applied to ``record.layers``."""
        self._check_names(record.layers)
        self.write_to(transaction.open(out, last=True), record, transform)

    def plan(self, out: Path, record: PruneRecord, run: str) -> list[PlannedFile]:
        """Plan the one file."""
        self._check_names(record.layers)
        return [self.plan_part(out, record, last=True)]

    def plan_part(
        self,
        target: Path,
        record: PruneRecord,
        further: Mapping[str, str] = MappingProxyType({}),
        *,
        last: bool = False,
    ) -> PlannedFile:
        """Plan what `write_to` would write, if every byte has its place beforehand."""
        raise CheckpointError(
            f"{self.path.name} is rewritten from its first byte to its last, so that one process "
            "has to do it: expected a .safetensors or .npy file"
        )

    @abstractmethod
    def write_to(
        self,
        out: BinaryIO,
        record: PruneRecord,
        transform: Transform,
        further: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the changed file into an open one, with further metadata if it has a place."""

    def _read(self, name: str) -> NDArray[Any]:
        return self._read_block(name, tuple(slice(0, size) for size in self.tensors[name].shape))

    def _read_block(self, name: str, box: Box) -> NDArray[Any]:
        info, label = self.tensors[name], f"{self.path}: {name!r}"
        if info.array_dtype is None:
            raise CheckpointError(f"{label} has dtype {info.dtype}, unknown to NumPy")
        shape, there = (info.shape[::-1], box[::-1]) if info.fortran else (info.shape, box)
        size = info.array_dtype.itemsize
        with disk_errors(self.path, "read"):
            parts = [
                self._read_bytes(name, start * size, length * size)
                for start, length in runs_of_box(shape, there)
            ]
        data = parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.uint8)])
        array = as_array(data, info.array_dtype, box_shape(there), label)
        return array.T if info.fortran else array

    def copy_bytes(self, name: str, out: BinaryIO) -> None:
        """Write the bytes of a tensor as they lie in the file, piece by piece."""
        self._check_names([name])
        nbytes = self.tensors[name].nbytes
        for start in range(0, nbytes, CHUNK_BYTES):
            with disk_errors(self.path, "read"):
                data = self._read_bytes(name, start, min(CHUNK_BYTES, nbytes - start))
            out.write(data.data)

    @abstractmethod
    def _read_bytes(self, name: str, start: int, nbytes: int) -> NDArray[np.uint8]:
        """Read some bytes of a tensor into memory of their own."""

    def _write_transformed(self, out: BinaryIO, name: str, transform: Transform) -> None:
        """Write what becomes of a tensor; the bytes of everything after it must not shift."""
        info = self.tensors[name]
        done = 0
        for block in transform(info):
            if block.dtype != info.array_dtype:
                raise TypeError(
                    f"transform yielded {block.dtype} for {name}, expected {info.array_dtype}"
                )
            out.write(as_bytes(block.T if info.fortran else block))
            done += block.nbytes
        if done != info.nbytes:
            raise TypeError(f"transform yielded {done} bytes for {name}, expected {info.nbytes}")


def check_regular(path: Path) -> None:
    """Check that a path is that of a file: a device or a pipe would never end, or never begin."""
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is not a regular file; expected one that holds tensors")


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read."""
    check_regular(path)
    return path.open("rb")


def read_exactly(stream: BinaryIO, nbytes: int, label: str) -> NDArray[np.uint8]:
    """Read ``nbytes`` into a fresh array; `CheckpointError` if the stream ends before."""
    data = np.empty(nbytes, dtype=np.uint8)
    done = 0
    while done < nbytes:
        with disk_errors(label, "read"):
            got = stream.readinto(data[done : done + (1 << 30)])  # type: ignore[attr-defined]
        if not got:
            raise CheckpointError(
                f"{label} ends after {done} of {nbytes} bytes: it is truncated, fetch it again"
            )
        done += got
    return data


def copy_exactly(source: BinaryIO, target: BinaryIO, nbytes: int, label: str) -> None:
    """Copy ``nbytes`` through a small buffer."""
    for start in range(0, nbytes, CHUNK_BYTES):
        target.write(read_exactly(source, min(CHUNK_BYTES, nbytes - start), label).data)


def as_bytes(array: NDArray[Any]) -> memoryview:
    """View the bytes of an array in C order, without a copy where it lies so already."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
