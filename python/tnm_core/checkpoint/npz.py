"""``.npz`` files: a zip archive of ``.npy`` members.

The format has no place for metadata that NumPy would not show as an array, so each pruned
member tells its own story in its zip comment.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from numpy.typing import NDArray

from tnm_core.checkpoint.base import SingleFile, Transform, as_bytes, copy_exactly, read_exactly
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.npy import NpyHeader, read_npy_data, read_npy_header
from tnm_core.checkpoint.records import PruneRecord, parse_record

_COMMENT = b"tnm "
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class NpzFile(SingleFile):
    """One ``.npz`` file, as `numpy.savez` or `numpy.savez_compressed` write it."""

    suffix = ".npz"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with ExitStack() as files:
            with _zip_errors(path):
                self._zip = files.enter_context(zipfile.ZipFile(path))
            self._members = self._list_members()
            self._headers = {name: self._read_header(name) for name in self._members}
            self._files = files.pop_all()
        self.tensors = {name: header.info(name) for name, header in self._headers.items()}

    @property
    def records(self) -> list[PruneRecord]:
        """Earlier runs of pruning, gathered from the comments of the members."""
        layers: dict[PruneRecord, list[str]] = {}
        for name, member in self._members.items():
            record = _record_in(member)
            if record is not None:
                layers.setdefault(record, []).append(name)
        return [replace(record, layers=tuple(names)) for record, names in layers.items()]

    def _read(self, name: str) -> NDArray[Any]:
        header, label = self._headers[name], self._label(name)
        with self._open(self._members[name]) as member:
            read_exactly(member, header.length, label)
            return read_npy_data(member, header, label)

    def write_to(self, out: BinaryIO, record: PruneRecord, transform: Transform) -> None:
        """Write the changed file into an open one."""
        pruned = {self._members[name].filename: name for name in record.layers}
        with zipfile.ZipFile(out, "w") as target:
            target.comment = self._zip.comment
            for member in self._zip.infolist():
                if member.filename in pruned:
                    self._write_pruned(target, pruned[member.filename], record, transform)
                else:
                    self._copy_member(target, member)

    @contextmanager
    def _open(self, member: zipfile.ZipInfo) -> Iterator[BinaryIO]:
        with _zip_errors(self.path), self._zip.open(member) as stream:
            yield cast(BinaryIO, stream)

    def _list_members(self) -> dict[str, zipfile.ZipInfo]:
        counts = Counter(member.filename for member in self._zip.infolist())
        for name, count in counts.items():
            if count > 1:
                raise CheckpointError(f"{self.path} holds {name!r} twice; expected each name once")
        return {
            member.filename.removesuffix(".npy"): member
            for member in self._zip.infolist()
            if member.filename.endswith(".npy")
        }

    def _read_header(self, name: str) -> NpyHeader:
        member = self._members[name]
        with self._open(member) as stream:
            return read_npy_header(stream, member.file_size, self._label(name))

    def _write_pruned(
        self, target: zipfile.ZipFile, name: str, record: PruneRecord, transform: Transform
    ) -> None:
        header, source = self._headers[name], self._members[name]
        array = self._transformed(name, transform)
        member = _fresh_member(source)
        member.comment = _comment_for(record)
        with target.open(member, "w", force_zip64=_needs_zip64(source)) as stream:
            with self._open(source) as original:
                head = read_exactly(original, header.length, self._label(name))
            stream.write(head.data)
            stream.write(as_bytes(array.T if header.fortran else array))

    def _copy_member(self, target: zipfile.ZipFile, source: zipfile.ZipInfo) -> None:
        member = _fresh_member(source)
        with (
            self._open(source) as original,
            target.open(member, "w", force_zip64=_needs_zip64(source)) as stream,
        ):
            label = self._label(source.filename)
            copy_exactly(original, cast(BinaryIO, stream), source.file_size, label)

    def _label(self, name: str) -> str:
        return f"{self.path}:{name}"


@contextmanager
def _zip_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except _ZIP_ERRORS as error:
        raise CheckpointError(
            f"{path} cannot be read as a .npz archive ({error}); it is damaged, truncated or "
            "encrypted: write it again with numpy.savez"
        ) from None


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


def _record_in(member: zipfile.ZipInfo) -> PruneRecord | None:
    if not member.comment.startswith(_COMMENT):
        return None
    try:
        return parse_record(json.loads(member.comment[len(_COMMENT) :]))
    except (ValueError, KeyError, TypeError):
        return None
