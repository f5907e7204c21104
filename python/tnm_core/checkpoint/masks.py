"""Masks on disk, one bit per entry, in a safetensors file.

Each mask is a flat U8 tensor of ``ceil(entries / 8)`` bytes: entries in C order, the first in
the lowest bit, unused bits zero. Its shape stands in the metadata.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core.arguments import as_array
from tnm_core.checkpoint.base import Checkpoint, TensorInfo
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.parsing import read_shapes
from tnm_core.checkpoint.records import PruneRecord, record_metadata
from tnm_core.checkpoint.safetensors_file import (
    HeaderEntry,
    SafetensorsFile,
    check_names,
    write_header,
)
from tnm_core.checkpoint.writing import FileTransaction
from tnm_core.pattern import PatternLike, as_pattern

FORMAT_KEY = "tnm.mask_format"
SHAPES_KEY = "tnm.mask_shapes"
FORMAT = "packed bits 1"


class MaskFile:
    """A file of bit-packed masks, read one at a time."""

    def __init__(self, file: Checkpoint) -> None:
        self._file = file
        flag = np.dtype(np.bool_)
        self.tensors = {
            name: TensorInfo(name, shape, "mask", file.tensors[name].nbytes, flag)
            for name, shape in _read_shapes(file).items()
        }

    def read(self, name: str) -> NDArray[np.bool_]:
        """Unpack one mask."""
        shape, entries = self.tensors[name].shape, self.tensors[name].entries
        bits = np.unpackbits(self._file.read(name), bitorder="little").view(np.bool_)
        if bits[entries:].any():
            raise CheckpointError(
                f"{self._file.path}: mask {name!r} has bits set beyond its {entries} entries; "
                "the file is damaged, write it again with save_masks"
            )
        return bits[:entries].reshape(shape)


def is_mask_file(file: Checkpoint) -> bool:
    """Tell whether an open checkpoint holds bit-packed masks."""
    return isinstance(file, SafetensorsFile) and FORMAT_KEY in file.metadata


def write_masks(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    masks: Iterable[NDArray[np.bool_] | Iterable[NDArray[np.bool_]]],
    record: PruneRecord | None,
) -> None:
    """Write masks as they come, in the order of ``shapes``; the file appears when all is there.

    A mask may come in blocks that follow each other in C order.
    """
    entries = [
        HeaderEntry(name, "U8", (size,), size)
        for name, size in ((name, -(-math.prod(shape) // 8)) for name, shape in shapes.items())
    ]
    metadata = {FORMAT_KEY: FORMAT, SHAPES_KEY: json.dumps(shapes)}
    if record is not None:
        metadata.update(record_metadata(record, []))
    with FileTransaction() as transaction:
        file = transaction.open(path)
        write_header(file, entries, metadata)
        for entry, mask in zip(entries, masks, strict=True):
            size = 0
            for packed in _packed([mask] if isinstance(mask, np.ndarray) else mask):
                size += packed.size
                file.write(packed.data)
            if size != entry.nbytes:
                raise ValueError(
                    f"mask of {entry.name!r} takes {size} bytes, {entry.nbytes} were announced"
                )


def _packed(blocks: Iterable[NDArray[np.bool_]]) -> Iterator[NDArray[np.uint8]]:
    """Pack blocks to bytes; bits that do not fill one wait for the next block."""
    rest = np.empty(0, dtype=np.bool_)
    for block in blocks:
        flags = block.reshape(-1)
        if rest.size:
            flags = np.concatenate([rest, flags])
        whole = flags.size // 8 * 8
        yield np.packbits(flags[:whole], bitorder="little")
        rest = flags[whole:].copy()
    yield np.packbits(rest, bitorder="little")


def save_masks(
    path: str | PathLike[str],
    masks: Mapping[str, ArrayLike],
    *,
    pattern: PatternLike | None = None,
    method: str = "optimal",
    score: str = "abs",
) -> None:
    """Save masks bit-packed, one bit per entry, in a safetensors file.

    Parameters
    ----------
    path : path-like
        The file to write; it is replaced at once when everything is written.
    masks : mapping of str to array of bool
        Masks of any shape, by name.
    pattern : str, pair of int, or Pattern, optional
        The pattern that the masks obey: ``"2:4"``, or ``"row 2:4"`` if it holds along the last axis
        alone; `tnm check` reads it.
    method, score : str
        How the masks were found; recorded only together with a pattern. ``method="rowwise"`` is an
        older way to say ``"row n:m"``.

    Raises
    ------
    TypeError
        If a mask is not of dtype bool, or a name is no str.
    ValueError
        If `pattern` is none, a mask is a masked array, or the file could not hold a name, as
        ``"__metadata__"``. No file is written then.

    See Also
    --------
    read_masks : Read them back.
    """
    check_names(masks)
    arrays = {name: as_array(mask, f"mask {name!r}") for name, mask in masks.items()}
    for name, array in arrays.items():
        if array.dtype != np.bool_:
            raise TypeError(f"mask {name!r} has dtype {array.dtype}; expected bool")
    record = None
    if pattern is not None:
        record = PruneRecord.of(as_pattern(pattern), method, score, arrays)
    shapes = {name: array.shape for name, array in arrays.items()}
    write_masks(Path(path), shapes, arrays.values(), record)


def read_masks(path: str | PathLike[str]) -> dict[str, NDArray[np.bool_]]:
    """Read masks that `save_masks` or ``tnm prune --masks-only`` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict of str to array of bool
        The masks by name, each in the shape in which it was saved.

    Raises
    ------
    CheckpointError
        If the file is damaged, or holds something other than masks.
    """
    with SafetensorsFile(Path(path)) as file:
        if not is_mask_file(file):
            raise CheckpointError(
                f"{path} holds tensors, not masks; expected a file written by save_masks or "
                "tnm prune --masks-only"
            )
        masks = MaskFile(file)
        return {name: masks.read(name) for name in masks.tensors}


def _read_shapes(file: Checkpoint) -> dict[str, tuple[int, ...]]:
    if file.metadata.get(FORMAT_KEY) != FORMAT:
        raise CheckpointError(
            f"{file.path} holds masks in the format {file.metadata.get(FORMAT_KEY)!r}; this "
            f"version reads {FORMAT!r}: upgrade tnm_core"
        )
    expected = "expected masks as save_masks writes them"
    shapes = read_shapes(file.metadata.get(SHAPES_KEY), str(file.path), expected)
    sizes = {name: -(-math.prod(shape) // 8) for name, shape in shapes.items()}
    found = {name: info.nbytes for name, info in file.tensors.items() if info.dtype == "uint8"}
    if sizes != found or len(found) != len(file.tensors):
        raise CheckpointError(f"{file.path} is damaged: shapes and sizes disagree; {expected}")
    return shapes
