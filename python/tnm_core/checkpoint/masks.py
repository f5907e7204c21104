"""Masks on disk, in a safetensors file: one bit per entry, or less where a pattern is known.

Each mask is a flat U8 tensor. As plain bits it has ``ceil(entries / 8)`` bytes: entries in C order,
the first in the lowest bit, unused bits zero. Its shape stands in the metadata, and so does how it
is coded, if it is: ranks of tiles or groups, see `tnm_core.checkpoint.formats` and docs/formats.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core.arguments import as_array
from tnm_core.checkpoint.base import Checkpoint, TensorInfo
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.formats import MaskCode, decode_mask, find_code
from tnm_core.checkpoint.parsing import parsing, read_json, read_shapes
from tnm_core.checkpoint.records import PruneRecord, record_metadata
from tnm_core.checkpoint.safetensors_file import (
    HeaderEntry,
    SafetensorsFile,
    check_names,
    planned_file,
    write_header,
)
from tnm_core.checkpoint.writing import FileTransaction, PlannedFile
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.short_repr import short_repr

FORMAT_KEY = "tnm.mask_format"
SHAPES_KEY = "tnm.mask_shapes"
CODES_KEY = "tnm.mask_codes"
FORMAT = "packed bits 1"
CODED_FORMAT = "ranked units 1"
_EXPECTED = "expected masks as save_masks writes them"


class MaskFile:
    """A file of masks, read one at a time.

    Attributes
    ----------
    tensors : dict of str to TensorInfo
        The masks.
    codes : dict of str to MaskCode
        How those are coded that are no plain bits.
    """

    def __init__(self, file: Checkpoint) -> None:
        self._file = file
        shapes = _read_shapes(file)
        self.codes = _read_codes(file, shapes)
        _check_sizes(file, shapes, self.codes)
        flag = np.dtype(np.bool_)
        self.tensors = {
            name: TensorInfo(name, shape, "mask", file.tensors[name].nbytes, flag)
            for name, shape in shapes.items()
        }

    def read(self, name: str) -> NDArray[np.bool_]:
        """Unpack one mask."""
        info, data = self.tensors[name], self._file.read(name)
        label = f"{self._file.path}: mask {name!r}"
        if name in self.codes:
            return decode_mask(self.codes[name], data, info.shape, label)
        bits = np.unpackbits(data, bitorder="little").view(np.bool_)
        if bits[info.entries :].any():
            raise CheckpointError(
                f"{label} has bits set beyond its {info.entries} entries; "
                "the file is damaged, write it again with save_masks"
            )
        return bits[: info.entries].reshape(info.shape)


def is_mask_file(file: Checkpoint) -> bool:
    """Tell whether an open checkpoint holds masks."""
    return isinstance(file, SafetensorsFile) and FORMAT_KEY in file.metadata


@dataclass(frozen=True)
class EncodedMask:
    """A mask as it is stored: by a code, or as plain bits if that is None."""

    shape: tuple[int, ...]
    code: MaskCode | None
    data: NDArray[np.uint8]

    __repr__ = short_repr

    @classmethod
    def of(cls, mask: NDArray[np.bool_], pattern: Pattern | None) -> EncodedMask:
        """Encode a mask by the pattern that it obeys, if there is one and its units have ranks."""
        code = None if pattern is None else find_code(mask, pattern)
        if code is None:
            return cls(mask.shape, None, np.packbits(mask.reshape(-1), bitorder="little"))
        return cls(mask.shape, code, code.encode(mask))


def write_encoded_masks(
    out: BinaryIO, masks: Mapping[str, EncodedMask], metadata: Mapping[str, str]
) -> None:
    """Write masks that were encoded into an open file."""
    shapes = {name: mask.shape for name, mask in masks.items()}
    codes = {name: mask.code.to_json() for name, mask in masks.items() if mask.code is not None}
    told = {FORMAT_KEY: CODED_FORMAT if codes else FORMAT, SHAPES_KEY: json.dumps(shapes)}
    if codes:
        told[CODES_KEY] = json.dumps(codes)
    sizes = {name: mask.data.size for name, mask in masks.items()}
    entries = [HeaderEntry(name, "U8", (size,), size) for name, size in sizes.items()]
    write_header(out, entries, {**told, **metadata})
    for mask in masks.values():
        out.write(mask.data.data)


def write_masks(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    masks: Iterable[NDArray[np.bool_] | Iterable[NDArray[np.bool_]]],
    record: PruneRecord | None,
) -> None:
    """Write masks as they come, in the order of ``shapes``; the file appears when all is there.

    A mask may come in blocks that follow each other in C order.
    """
    entries, metadata = _plain_header(shapes, record)
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


def plan_masks(
    path: Path, shapes: Mapping[str, tuple[int, ...]], record: PruneRecord | None
) -> PlannedFile:
    """Plan what `write_masks` would write, so that many can write it."""
    return planned_file(path, *_plain_header(shapes, record), last=True)


def _plain_header(
    shapes: Mapping[str, tuple[int, ...]], record: PruneRecord | None
) -> tuple[list[HeaderEntry], dict[str, str]]:
    """Describe masks as plain bits: entries of the header, and metadata."""
    sizes = {name: _plain_bytes(shape) for name, shape in shapes.items()}
    entries = [HeaderEntry(name, "U8", (size,), size) for name, size in sizes.items()]
    metadata = {FORMAT_KEY: FORMAT, SHAPES_KEY: json.dumps(shapes)}
    if record is not None:
        metadata.update(record_metadata(record, []))
    return entries, metadata


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
    compact: bool = False,
) -> None:
    """Save masks in a safetensors file: one bit per entry, or less if they obey a pattern.

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
    compact : bool
        Write ranks of tiles or groups in place of bits, where a mask obeys `pattern` in all full
        tiles: 6.5 bits for the 16 of a tile at 2:4. Earlier versions do not read that, nor does
        `numpy.unpackbits`. Masks that do not obey it, and patterns with ``m > 32``, are
        written as bits all the same.

    Raises
    ------
    TypeError
        If a mask is not of dtype bool, or a name is no str.
    ValueError
        If `pattern` is none, a mask is a masked array, the file could not hold a name, as
        ``"__metadata__"``, or `compact` came without a pattern. No file is written then.

    See Also
    --------
    read_masks : Read them back.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> from tnm_core.checkpoint import read_masks, save_masks
    >>> weights = np.random.default_rng(0).normal(size=(768, 768))
    >>> mask = tnm.transposable_mask(weights, "2:4")
    >>> save_masks("bits.safetensors", {"up": mask}, pattern="2:4")
    >>> save_masks("ranks.safetensors", {"up": mask}, pattern="2:4", compact=True)
    >>> bool((read_masks("ranks.safetensors")["up"] == mask).all())
    True
    >>> [Path(name).stat().st_size // 1000 for name in ("bits.safetensors", "ranks.safetensors")]
    [74, 30]
    """
    check_names(masks)
    arrays = {name: as_array(mask, f"mask {name!r}") for name, mask in masks.items()}
    for name, array in arrays.items():
        if array.dtype != np.bool_:
            raise TypeError(f"mask {name!r} has dtype {array.dtype}; expected bool")
    kept = None if pattern is None else as_pattern(pattern)
    if compact and kept is None:
        raise ValueError("compact is True and pattern None; expected the pattern of the masks")
    metadata: dict[str, str] = {}
    if kept is not None:
        metadata = record_metadata(PruneRecord.of(kept, method, score, arrays), [])
    by = kept if compact else None
    encoded = {name: EncodedMask.of(array, by) for name, array in arrays.items()}
    with FileTransaction() as transaction:
        write_encoded_masks(transaction.open(Path(path)), encoded, metadata)


def read_masks(path: str | PathLike[str]) -> dict[str, NDArray[np.bool_]]:
    """Read masks that `save_masks`, ``tnm prune --masks-only`` or ``tnm convert`` wrote.

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
                f"{path} holds tensors, not masks; expected a file written by save_masks, "
                "tnm prune --masks-only, or tnm convert --to masks"
            )
        masks = MaskFile(file)
        return {name: masks.read(name) for name in masks.tensors}


def _read_shapes(file: Checkpoint) -> dict[str, tuple[int, ...]]:
    if file.metadata.get(FORMAT_KEY) not in (FORMAT, CODED_FORMAT):
        raise CheckpointError(
            f"{file.path} holds masks in the format {file.metadata.get(FORMAT_KEY)!r}; this "
            f"version reads {FORMAT!r} and {CODED_FORMAT!r}: upgrade tnm_core"
        )
    return read_shapes(file.metadata.get(SHAPES_KEY), str(file.path), _EXPECTED)


def _read_codes(file: Checkpoint, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, MaskCode]:
    if file.metadata[FORMAT_KEY] == FORMAT:
        return {}
    label = f"{file.path} is damaged: the entry {CODES_KEY}"
    codes = read_json(file.metadata.get(CODES_KEY, ""), label, _EXPECTED)
    with parsing(label, _EXPECTED):
        if not isinstance(codes, dict) or not set(codes) <= set(shapes):
            raise ValueError("expected an object with an entry for each mask that is coded")
        return {name: MaskCode.from_json(code, len(shapes[name])) for name, code in codes.items()}


def _check_sizes(
    file: Checkpoint, shapes: Mapping[str, tuple[int, ...]], codes: Mapping[str, MaskCode]
) -> None:
    sizes = {
        name: codes[name].nbytes(shape) if name in codes else _plain_bytes(shape)
        for name, shape in shapes.items()
    }
    found = {name: info.nbytes for name, info in file.tensors.items() if info.dtype == "uint8"}
    if sizes != found or len(found) != len(file.tensors):
        raise CheckpointError(f"{file.path} is damaged: shapes and sizes disagree; {_EXPECTED}")


def _plain_bytes(shape: Sequence[int]) -> int:
    return -(-math.prod(shape) // 8)
