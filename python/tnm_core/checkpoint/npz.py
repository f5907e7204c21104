"""``.npz`` files: a zip archive of ``.npy`` members.

The format has no place for metadata that NumPy would not show as an array, so each pruned
member tells its own story in its zip comment.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.archive import Archive, MemberReader
from tnm_core.checkpoint.base import SingleFile, Transform
from tnm_core.checkpoint.blocks import Box
from tnm_core.checkpoint.limits import MAX_NPY_HEADER_BYTES
from tnm_core.checkpoint.npy import NpyHeader, check_readable, read_npy_header
from tnm_core.checkpoint.parsing import parsing, read_json
from tnm_core.checkpoint.records import PruneRecord, parse_record

_COMMENT = b"tnm "
_HEAD_BYTES = MAX_NPY_HEADER_BYTES + 16  # with the bytes that stand before the header
_EXPECTED = "write it again with numpy.savez or numpy.savez_compressed"


class NpzFile(SingleFile):
    """One ``.npz`` file, as `numpy.savez` or `numpy.savez_compressed` write it."""

    suffix = ".npz"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with ExitStack() as files:
            self._archive = Archive(path, files, _EXPECTED)
            self._members = {
                member.filename.removesuffix(".npy"): member
                for member in self._archive.members
                if member.filename.endswith(".npy")
            }
            self._headers = {name: self._read_header(name) for name in self._members}
            self._files = files.pop_all()
        self._reader: MemberReader | None = None
        self.tensors = {name: header.info(name) for name, header in self._headers.items()}

    @property
    def records(self) -> list[PruneRecord]:
        """Earlier runs of pruning, gathered from the comments of the members."""
        layers: dict[PruneRecord, list[str]] = {}
        for name, member in self._members.items():
            record = _record_in(member, self._label(name))
            if record is not None:
                layers.setdefault(record, []).append(name)
        return [replace(record, layers=tuple(names)) for record, names in layers.items()]

    def _read_block(self, name: str, box: Box) -> NDArray[Any]:
        check_readable(self._headers[name], self._label(name))
        return super()._read_block(name, box)

    def _read_bytes(self, name: str, start: int, nbytes: int) -> NDArray[np.uint8]:
        if self._reader is None or self._reader.member is not self._members[name]:
            self._reader = MemberReader(self._archive, self._members[name])
        return self._reader.read(self._headers[name].length + start, nbytes)

    def write_to(
        self,
        out: BinaryIO,
        record: PruneRecord,
        transform: Transform,
        further: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the changed file into an open one."""
        _ = self.records  # damaged comments are refused before work is done, not copied
        pruned = {self._members[name].filename: name for name in record.layers}
        with zipfile.ZipFile(out, "w") as target:
            target.comment = self._archive.comment
            for member in self._archive.members:
                if member.filename in pruned:
                    self._write_pruned(target, pruned[member.filename], record, transform)
                else:
                    self._copy_member(target, member)

    def _read_header(self, name: str) -> NpyHeader:
        member = self._members[name]
        head = self._archive.head(member, _HEAD_BYTES)
        return read_npy_header(head, member.file_size, self._label(name))

    def _write_pruned(
        self, target: zipfile.ZipFile, name: str, record: PruneRecord, transform: Transform
    ) -> None:
        header, source = self._headers[name], self._members[name]
        member = _fresh_member(source)
        member.comment = _comment_for(record)
        with target.open(member, "w", force_zip64=_needs_zip64(source)) as stream:
            stream.write(self._archive.head(source, header.length).getbuffer())
            self._write_transformed(cast(BinaryIO, stream), name, transform)

    def _copy_member(self, target: zipfile.ZipFile, source: zipfile.ZipInfo) -> None:
        member = _fresh_member(source)
        with target.open(member, "w", force_zip64=_needs_zip64(source)) as stream:
            for chunk in self._archive.chunks(source):
                stream.write(chunk)

    def _label(self, name: str) -> str:
        return f"{self.path}:{name}"


def _fresh_member(source: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Make a member with the name, date, compression and comment of another."""
    member = zipfile.ZipInfo(source.filename, source.date_time)
    member.compress_type = source.compress_type
    member.external_attr = source.external_attr
    member.comment = source.comment
    member.file_size = source.file_size
    return member


def _needs_zip64(member: zipfile.ZipInfo) -> bool:
    return member.file_size > (1 << 30)


def _comment_for(record: PruneRecord) -> bytes:
    fields = asdict(record)
    del fields["layers"]
    return _COMMENT + json.dumps(fields).encode()


def _record_in(member: zipfile.ZipInfo, label: str) -> PruneRecord | None:
    if not member.comment.startswith(_COMMENT):
        return None
    what, expected = f"{label}: its comment", "expected what tnm prune writes: prune again"
    fields = read_json(member.comment[len(_COMMENT) :], what, expected)
    with parsing(f"{what} is damaged", expected):
        return parse_record(fields)
