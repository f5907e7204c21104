"""safetensors files: headers validated by the safetensors library, tensors streamed.

The library reads; writing is our own, because its `save_file` wants every tensor in memory at
once and cannot pass on dtypes that NumPy lacks. The format is small: eight bytes of length, a
JSON header (name -> dtype, shape, offsets; ``__metadata__`` -> strings), then the bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
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
from tnm_core.checkpoint.dtypes import array_dtype, dtype_label
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.limits import MAX_HEADER_BYTES, MAX_NAME_LENGTH, MAX_TENSORS
from tnm_core.checkpoint.parsing import (
    as_shape,
    check_name_lengths,
    no_collection,
    read_json,
)
from tnm_core.checkpoint.records import PruneRecord, renewed_metadata
from tnm_core.checkpoint.writing import PlannedFile
from tnm_core.extras import how_to_install

METADATA_KEY = "__metadata__"
_WIDEST = 16  # bytes of an entry, of any dtype


@dataclass(frozen=True, slots=True)
class HeaderEntry:
    """One tensor of a header: its dtype code, shape and size, in the order of the data."""

    name: str
    code: str
    shape: tuple[int, ...]
    nbytes: int


class SafetensorsFile(SingleFile):
    """One ``.safetensors`` file."""

    suffix = ".safetensors"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with ExitStack() as files:
            self._file = files.enter_context(open_regular(path))
            header, self._data_start = _read_header(path, self._file)
            self.metadata = header.pop(METADATA_KEY, None) or {}
            with no_collection():
                ordered = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
                self._entries = {name: _entry(name, fields, path) for name, fields in ordered}
                self._starts = {name: fields["data_offsets"][0] for name, fields in ordered}
                self.tensors = {name: info_of(entry) for name, entry in self._entries.items()}
            self._files = files.pop_all()

    def _read_bytes(self, name: str, start: int, nbytes: int) -> NDArray[np.uint8]:
        self._file.seek(self._data_start + self._starts[name] + start)
        return read_exactly(self._file, nbytes, str(self.path))

    def write_to(
        self,
        out: BinaryIO,
        record: PruneRecord,
        transform: Transform,
        further: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the changed file into an open one."""
        metadata = renewed_metadata(self.metadata, record, self.records)
        self.copy_to(out, {**metadata, **further}, dict.fromkeys(record.layers, transform))

    def plan_part(
        self,
        target: Path,
        record: PruneRecord,
        further: Mapping[str, str] = MappingProxyType({}),
        *,
        last: bool = False,
    ) -> PlannedFile:
        """Plan the changed file."""
        metadata = renewed_metadata(self.metadata, record, self.records)
        return planned_file(target, self._entries.values(), {**metadata, **further}, last=last)

    def copy_to(
        self,
        out: BinaryIO,
        metadata: Mapping[str, str],
        transforms: Mapping[str, Transform] | None = None,
    ) -> None:
        """Write the tensors, some of them transformed, under other metadata into an open file."""
        write_header(out, self._entries.values(), metadata)
        for name, info in self.tensors.items():
            if transforms is not None and name in transforms:
                self._write_transformed(out, name, transforms[name])
            else:
                self._file.seek(self._data_start + self._starts[name])
                copy_exactly(self._file, out, info.nbytes, str(self.path))


def write_header(
    out: BinaryIO, entries: Iterable[HeaderEntry], metadata: Mapping[str, str]
) -> None:
    """Write the header; the bytes of the entries must follow in the same order, without gaps.

    Raises
    ------
    TypeError, CheckpointError
        If the file could not be read again, see `check_names`.
    """
    header: dict[str, Any] = {METADATA_KEY: dict(metadata)} if metadata else {}
    start = 0
    entries = tuple(entries)
    if len(entries) > MAX_TENSORS:
        raise CheckpointError(f"there are {len(entries)} tensors, expected at most {MAX_TENSORS}")
    check_names(entry.name for entry in entries)
    for entry in entries:
        offsets = [start, start + entry.nbytes]
        header[entry.name] = {
            "dtype": entry.code,
            "shape": list(entry.shape),
            "data_offsets": offsets,
        }
        start += entry.nbytes
    try:
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise CheckpointError(
            f"the metadata holds a lone surrogate, expected text: {metadata}"
        ) from None
    text += b" " * (-len(text) % 8)  # so that the data starts aligned
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"the safetensors header would take {len(text)} bytes, more than the format's limit "
            f"of {MAX_HEADER_BYTES}: shorten the metadata"
        )
    out.write(len(text).to_bytes(8, "little") + text)


def planned_file(
    target: Path,
    entries: Iterable[HeaderEntry],
    metadata: Mapping[str, str],
    *,
    last: bool = False,
) -> PlannedFile:
    """Plan a file of tensors; raises as `write_header`."""
    entries = tuple(entries)
    head = BytesIO()
    write_header(head, entries, metadata)
    sizes = {entry.name: entry.nbytes for entry in entries}
    return PlannedFile.of(target, head.getvalue(), sizes, last=last)


def check_names(names: Iterable[Any]) -> None:
    """Refuse names of tensors under which a file could not be read again.

    Raises
    ------
    TypeError
        If one is no str.
    CheckpointError
        If one comes twice, is that of the metadata, is too long, or holds a lone surrogate.
    """
    taken: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a tensor is called {name!r} ({type(name).__name__}), expected a str")
        reason = None
        if name in taken:
            reason = "as another one is"
        elif name == METADATA_KEY:
            reason = "the name of the metadata in safetensors files"
        elif len(name) > MAX_NAME_LENGTH:
            name, reason = f"{name[:40]}...", f"of more than {MAX_NAME_LENGTH} characters"
        elif not _is_text(name):
            reason = "with a lone surrogate, which UTF-8 cannot hold"
        if reason is not None:
            raise CheckpointError(f"a tensor is called {name!r}, {reason}; expected another name")
        taken.add(name)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Decode the header, and let the library accept the file; also tell where the data starts."""
    size = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    if len(prefix) < 8:
        raise CheckpointError(
            f"{path} is not a safetensors file, or a truncated one: it holds {size} bytes, "
            "expected at least the 8 that tell the length of the header; fetch it again"
        )
    length = int.from_bytes(prefix, "little")
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise CheckpointError(
            f"{path} is not a safetensors file, or a truncated one: its first 8 bytes announce a "
            f"header of {length} bytes in a file of {size}, expected at most {MAX_HEADER_BYTES}; "
            "fetch it again"
        )
    # Decoded first: the library sets no bound to the number of tensors, and of equal names it
    # lets the last one win, so that the others' bytes would be lost.
    expected = "expected the header of a safetensors file: fetch it again"
    text = read_exactly(file, length, str(path)).tobytes()
    header = read_json(text, f"{path}: the header", expected)
    if not isinstance(header, dict) or len(header) > MAX_TENSORS + 1:
        raise CheckpointError(f"{path}: the header describes no tensors, or too many; {expected}")
    check_name_lengths(header, str(path))
    _ask_library(path)
    return header, 8 + length


def _ask_library(path: Path) -> None:
    """Let the reference implementation judge lengths, offsets, overlaps, shapes and dtypes."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise CheckpointError(
            f"reading safetensors files needs the package safetensors: {how_to_install('cli')}"
        ) from None
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise CheckpointError(
            f"{path} is not a valid safetensors file: {reason}; it is damaged or truncated, "
            "fetch it again"
        ) from None


def _entry(name: str, fields: Mapping[str, Any], path: Path) -> HeaderEntry:
    start, end = fields["data_offsets"]
    shape = as_shape(fields["shape"], _WIDEST, f"{path}: {name!r}")
    return HeaderEntry(name, fields["dtype"], shape, end - start)


def info_of(entry: HeaderEntry) -> TensorInfo:
    """Describe a tensor for people."""
    return TensorInfo(
        entry.name, entry.shape, dtype_label(entry.code), entry.nbytes, array_dtype(entry.code)
    )
