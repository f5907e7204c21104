"""The parts of a run: what a worker is told, what it does with files, what it answers.

Workers read the checkpoint and write the output themselves. Only figures go back.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import Box, Checkpoint, CheckpointError, disk_errors, open_checkpoint
from tnm_core.cli.pruning.layer_mask import Settings, UnstructuredScore, drop_, solve_block
from tnm_core.cli.pruning.matrix_axes import MatrixAxes
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor

_BUFFER_BYTES = 1 << 22


@dataclass(frozen=True)
class SourceFile:
    """A file of a checkpoint, as the client found it."""

    path: str
    size: int
    modified: int  # whole seconds: not all file systems tell more

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """Look at a file."""
        found = path.stat()
        return cls(str(path.absolute()), found.st_size, int(found.st_mtime))

    def open(self) -> Checkpoint:
        """Open the file, if it is still the same."""
        label = f"{self.path} on {platform.node()}"
        with disk_errors(label, "read"):
            found = SourceFile.of(Path(self.path))
        if found != self:
            raise CheckpointError(
                f"{label} is another file than that of this run, or has changed since; expected a "
                "folder that all workers share under one name"
            )
        return open_checkpoint(self.path)


@dataclass(frozen=True)
class Place:
    """Where bytes go in a file that is being written: its path and size, and their first."""

    path: str
    size: int
    start: int

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file at the place; what was written is on disk when it closes.

        Writes are synchronous not for safety alone: clients of NFS would otherwise write back
        whole pages, over what others wrote next to it.
        """
        flags = os.O_WRONLY | getattr(os, "O_DSYNC", 0) | getattr(os, "O_BINARY", 0)
        label = f"{self.path} on {platform.node()}"
        with disk_errors(label):
            file = os.open(self.path, flags)
        # The disk may refuse when the stream is closed, too, which writes the last buffer.
        with disk_errors(label), os.fdopen(file, "wb", _BUFFER_BYTES) as stream:
            size = os.fstat(file).st_size
            if size != self.size:
                raise CheckpointError(
                    f"{label} has {size} bytes, expected {self.size}: it is another file than that "
                    "of this run; expected a folder that all workers share under one name"
                )
            stream.seek(self.start)
            yield stream


@dataclass(frozen=True)
class TaskResult:
    """What a task answers: figures of its panels, and what the unstructured score needs.

    ``magnitudes`` and ``counts`` are of `MagnitudeCounts`; ``unstructured`` is the score itself, if
    the task saw all of the layer.
    """

    panels: tuple[PrunedTensor, ...] = ()
    magnitudes: NDArray[np.uint16] | None = None
    counts: NDArray[np.int64] | None = None
    unstructured: float | None = None


class Task:
    """A part of a run."""

    name: str  # of the layer, or of the first tensor

    def run(self) -> TaskResult:
        """Do it, on whatever machine."""
        raise NotImplementedError


@dataclass(frozen=True)
class MaskTask(Task):
    """Find the masks of some boxes of a layer, and write what they leave, or the masks."""

    source: SourceFile
    name: str
    axes: MatrixAxes
    settings: Settings
    boxes: tuple[Box, ...]
    is_whole: bool  # all of the layer is in one box
    place: Place | None
    as_masks: bool = False

    @property
    def entries(self) -> int:
        """How many entries it deals with."""
        return sum(map(entries_of, self.boxes))

    def run(self) -> TaskResult:
        """Read, solve and write, box by box."""
        panels: list[PrunedTensor] = []
        with self.source.open() as source, _opened(self.place) as out:
            info = source.tensors[self.name]
            whole = UnstructuredScore(info, self.settings, self.is_whole)
            rest = np.empty(0, dtype=np.bool_)
            for box in self.boxes:
                block = source.read_block(self.name, box)
                mask = solve_block(self.name, block, box, self.axes, self.settings, panels.append)
                whole.see(block)
                if out is not None and self.as_masks:
                    rest = _write_flags(out, np.concatenate([rest, mask.reshape(-1)]))
                elif out is not None:
                    drop_(block, mask)
                    out.write(_bytes_of(block.T if info.fortran else block))
            if out is not None and rest.size:
                out.write(np.packbits(rest, bitorder="little").data)
        if whole.counts is not None:
            return TaskResult(tuple(panels), *whole.counts.found)
        score = whole.total(lambda: ()) if self.is_whole else None
        return TaskResult(tuple(panels), unstructured=score)


@dataclass(frozen=True)
class ScoreTask(Task):
    """Find what unstructured pruning of a whole layer would keep, of wide elements in boxes."""

    source: SourceFile
    name: str
    settings: Settings
    boxes: tuple[Box, ...]

    def run(self) -> TaskResult:
        """Read the layer as often as it takes."""
        with self.source.open() as source:

            def read() -> Iterator[NDArray[Any]]:
                return (source.read_block(self.name, box) for box in self.boxes)

            whole = UnstructuredScore(source.tensors[self.name], self.settings, in_one_block=False)
            return TaskResult(unstructured=whole.total(read))


@dataclass(frozen=True)
class CopyTask(Task):
    """Copy tensors byte for byte."""

    source: SourceFile
    name: str
    places: tuple[tuple[str, Place], ...]

    def run(self) -> TaskResult:
        """Copy through a small buffer."""
        with self.source.open() as source:
            for name, place in self.places:
                with place.open() as out:
                    source.copy_bytes(name, out)
        return TaskResult()


def entries_of(box: Box) -> int:
    """Count the entries of a box."""
    return math.prod(one.stop - one.start for one in box)


def run_task(task: Task) -> TaskResult:
    """Do a task: what executors are given."""
    return task.run()


@contextmanager
def _opened(place: Place | None) -> Iterator[BinaryIO | None]:
    if place is None:
        yield None
        return
    with place.open() as out:
        yield out


def _write_flags(out: BinaryIO, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Write whole bytes of bits, and return what does not fill one."""
    whole = flags.size // 8 * 8
    out.write(np.packbits(flags[:whole], bitorder="little").data)
    return flags[whole:]


def _bytes_of(block: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(block).reshape(-1).view(np.uint8).data
