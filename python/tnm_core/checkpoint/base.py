"""What every checkpoint format offers: named tensors, read one at a time, and rewriting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.records import PruneRecord

CHUNK_BYTES = 1 << 22
_Self = TypeVar("_Self", bound="Checkpoint")  # typing.Self needs Python 3.11


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as its file describes it.

    ``dtype`` is for people; ``array_dtype`` is what NumPy calls it, None if it cannot hold it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    array_dtype: np.dtype[Any] | None

    @property
    def entries(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape, dtype=object))


Transform = Callable[[TensorInfo, NDArray[Any]], NDArray[Any]]
"""Receives a tensor with memory of its own; returns what to write, of the same shape and dtype."""


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
    """

    path: Path
    suffix: str
    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]

    @property
    @abstractmethod
    def records(self) -> list[PruneRecord]:
        """Earlier runs of pruning that the file tells of, latest first."""

    @abstractmethod
    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor into writable memory of its own."""

    @abstractmethod
    def targets(self, out: Path) -> list[Path]:
        """List the files that `rewrite` would make for ``out``."""

    @abstractmethod
    def rewrite(self, out: Path, record: PruneRecord, transform: Transform) -> None:
        """Copy the checkpoint to ``out``, with ``transform`` applied to ``record.layers``.

        Every other tensor is copied byte for byte. Files appear at once, when all is written.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the files."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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


def read_exactly(stream: BinaryIO, nbytes: int, label: str) -> NDArray[np.uint8]:
    """Read ``nbytes`` into a fresh array; `CheckpointError` if the stream ends before."""
    data = np.empty(nbytes, dtype=np.uint8)
    done = 0
    while done < nbytes:
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


def check_transformed(info: TensorInfo, array: NDArray[Any]) -> NDArray[Any]:
    """Check that a transform does not shift the bytes of everything after it."""
    if array.shape != info.shape or array.dtype != info.array_dtype:
        raise TypeError(
            f"transform returned {array.dtype}{array.shape} for {info.name}, "
            f"expected {info.array_dtype}{info.shape}"
        )
    return array


def check_names(names: Collection[str], tensors: Collection[str], label: str) -> None:
    """Raise if a name is not that of a tensor."""
    for name in names:
        if name not in tensors:
            raise CheckpointError(f"{label} holds no tensor {name!r}; see tnm inspect {label}")
