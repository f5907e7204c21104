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
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from tnm_core.checkpoint.base import (
    SingleFile,
    TensorInfo,
    Transform,
    as_bytes,
    copy_exactly,
    read_exactly,
)
from tnm_core.checkpoint.dtypes import array_dtype, dtype_label
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.records import PruneRecord, renewed_metadata

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library
METADATA_KEY = "__metadata__"


@dataclass(frozen=True)
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
            self._file = files.enter_context(path.open("rb"))
            header, self._data_start = _read_header(path, self._file)
            self._files = files.pop_all()
        self.metadata = header.pop(METADATA_KEY, None) or {}
        ordered = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        self._entries = {name: _entry(name, fields) for name, fields in ordered}
        self._starts = {name: fields["data_offsets"][0] for name, fields in ordered}
        self.tensors = {name: _info(entry) for name, entry in self._entries.items()}

    def _read(self, name: str) -> NDArray[Any]:
        info = self.tensors[name]
        if info.array_dtype is None:
            raise CheckpointError(f"{self.path}: {name!r} has dtype {info.dtype}, unknown to NumPy")
        self._seek(name)
        data = read_exactly(self._file, info.nbytes, str(self.path))
        return data.view(info.array_dtype).reshape(info.shape)

    def write_to(self, out: BinaryIO, record: PruneRecord, transform: Transform) -> None:
        """Write the changed file into an open one."""
        metadata = renewed_metadata(self.metadata, record, self.records)
        self.copy_to(out, metadata, dict.fromkeys(record.layers, transform))

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
                out.write(as_bytes(self._transformed(name, transforms[name])))
            else:
                self._seek(name)
                copy_exactly(self._file, out, info.nbytes, str(self.path))

    def _seek(self, name: str) -> None:
        self._file.seek(self._data_start + self._starts[name])


def write_header(
    out: BinaryIO, entries: Iterable[HeaderEntry], metadata: Mapping[str, str]
) -> None:
    """Write the header; the bytes of the entries must follow in the same order, without gaps.

    Raises
    ------
    TypeError, ValueError
        If the file could not be read again, see `check_names`.
    """
    header: dict[str, Any] = {METADATA_KEY: dict(metadata)} if metadata else {}
    start = 0
    entries = tuple(entries)
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
        raise ValueError(
            f"the metadata holds a lone surrogate, expected text: {metadata}"
        ) from None
    text += b" " * (-len(text) % 8)  # so that the data starts aligned
    if len(text) > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"the safetensors header would take {len(text)} bytes, more than the format's limit "
            f"of {MAX_HEADER_BYTES}: shorten the metadata"
        )
    out.write(len(text).to_bytes(8, "little") + text)


def check_names(names: Iterable[Any]) -> None:
    """Refuse names of tensors under which a file could not be read again.

    Raises
    ------
    TypeError
        If one is no str.
    ValueError
        If one comes twice, is that of the metadata, or holds a lone surrogate.
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
        elif not _is_text(name):
            reason = "with a lone surrogate, which UTF-8 cannot hold"
        if reason is not None:
            raise ValueError(f"a tensor is called {name!r}, {reason}; expected another name")
        taken.add(name)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Decode the header, once the library accepts the file; also tell where the data starts."""
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
            f"header of {length} bytes in a file of {size}; fetch it again"
        )
    _ask_library(path)
    header = _decode_header(path, bytes(read_exactly(file, length, str(path))))
    return header, 8 + length


def _ask_library(path: Path) -> None:
    """Let the reference implementation judge lengths, offsets, overlaps, shapes and dtypes."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise CheckpointError(
            'reading safetensors files needs the package safetensors: pip install "tnm_core[cli]"'
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


def _decode_header(path: Path, text: bytes) -> dict[str, Any]:
    # The library lets the last of several equal names win; the others' bytes would be lost.
    def check_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CheckpointError(
                f"{path}: the safetensors header names {twice!r} twice; expected each name once"
            )
        return fields

    header: dict[str, Any] = json.loads(text, object_pairs_hook=check_duplicates)
    return header


def _entry(name: str, fields: Mapping[str, Any]) -> HeaderEntry:
    start, end = fields["data_offsets"]
    return HeaderEntry(name, fields["dtype"], tuple(fields["shape"]), end - start)


def _info(entry: HeaderEntry) -> TensorInfo:
    return TensorInfo(
        entry.name, entry.shape, dtype_label(entry.code), entry.nbytes, array_dtype(entry.code)
    )
