"""Zip archives of strangers: opened within limits, members unpacked as their bytes come."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.base import CHUNK_BYTES, check_regular
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.limits import (
    MAX_DIRECTORY_BYTES,
    MAX_TENSORS,
    MAX_UNPACKED_BYTES,
    MAX_UNPACKED_RATIO,
)
from tnm_core.checkpoint.parsing import check_name_lengths, parsing

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Archive:
    """An open zip archive whose members are stored or deflated, as NumPy and torch write them.

    The other methods of zip are refused: their decoders give all that a piece unpacks to at once,
    which may be a million times its size.

    Parameters
    ----------
    path : Path
        The file.
    files : ExitStack
        What closes it.
    expected : str
        How errors end: what should have come, and how to mend it.
    """

    def __init__(self, path: Path, files: ExitStack, expected: str) -> None:
        self.path = path
        self._expected = expected
        check_regular(path)
        file = files.enter_context(_DirectoryReader(io.FileIO(path)))
        self._bytes = file.seek(0, io.SEEK_END)
        with self._parsing():
            self._zip = files.enter_context(zipfile.ZipFile(file))
        file.bounded = False
        self.members = self._zip.infolist()
        self.comment = self._zip.comment
        self._check_names()
        for member in self.members:
            self._check_member(member)
        check_unpacked_size(path, sum(one.file_size for one in self.members), self._bytes)

    def head(self, member: zipfile.ZipInfo, nbytes: int) -> io.BytesIO:
        """Unpack the first bytes of a member, fewer if it has not so many."""
        with self._parsing(), self._zip.open(member) as stream:
            return io.BytesIO(stream.read(nbytes))

    def chunks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """Unpack a member piece by piece; its checksum is compared at the end."""
        done = 0
        with self._parsing():
            stream = self._zip.open(member)
        with stream:
            while done < member.file_size:
                with self._parsing():
                    chunk = stream.read(CHUNK_BYTES)
                if not chunk:
                    raise CheckpointError(
                        f"{self.path}:{member.filename} ends after {done} of {member.file_size} "
                        f"bytes: it is truncated; {self._expected}"
                    )
                done += len(chunk)
                yield chunk

    def _parsing(self) -> AbstractContextManager[None]:
        return parsing(f"{self.path} cannot be read as a zip archive", self._expected)

    def _check_names(self) -> None:
        if len(self.members) > MAX_TENSORS:
            raise CheckpointError(
                f"{self.path} has {len(self.members)} members, expected at most {MAX_TENSORS}"
            )
        counts = Counter(member.filename for member in self.members)
        for name, count in counts.items():
            if count > 1:
                raise CheckpointError(f"{self.path} holds {name!r} twice; expected each name once")
        check_name_lengths(counts, str(self.path))

    def _check_member(self, member: zipfile.ZipInfo) -> None:
        label = f"{self.path}:{member.filename}"
        if member.flag_bits & _ENCRYPTED:
            raise CheckpointError(f"{label} is encrypted; {self._expected}")
        if member.compress_type not in _METHODS:
            raise CheckpointError(
                f"{label} is compressed by method {member.compress_type}, expected stored or "
                f"deflated members; {self._expected}"
            )
        stored = member.compress_type == zipfile.ZIP_STORED
        lies_inside = 0 <= member.header_offset <= self._bytes - member.compress_size
        if not lies_inside or (stored and member.compress_size != member.file_size):
            raise CheckpointError(
                f"{label} announces {member.file_size} bytes, packed into {member.compress_size} "
                f"from {member.header_offset} on of {self._bytes}; it is damaged: {self._expected}"
            )


class MemberReader:
    """Reads pieces of a member; those that follow each other without unpacking anew."""

    def __init__(self, archive: Archive, member: zipfile.ZipInfo) -> None:
        self.member = member
        self._archive = archive
        self._at = 0
        self._left = memoryview(b"")
        self._chunks = archive.chunks(member)

    def read(self, start: int, nbytes: int) -> NDArray[np.uint8]:
        """Unpack some bytes into memory of their own, which grows as they come."""
        if start < self._at:
            self._restart()
        data = bytearray()
        try:
            self._skip_to(start)
            while len(data) < nbytes:
                data += self._take(nbytes - len(data))
            if self._at == self.member.file_size:
                for _ in self._chunks:  # the end, where the checksum is compared
                    pass
        except BaseException:
            self._restart()  # nothing can be read on from where something went wrong
            raise
        return np.frombuffer(data, dtype=np.uint8)

    def _skip_to(self, start: int) -> None:
        while self._at < start:
            self._take(start - self._at)

    def _restart(self) -> None:
        self._at, self._left = 0, memoryview(b"")
        self._chunks = self._archive.chunks(self.member)

    def _take(self, nbytes: int) -> memoryview:
        """Take as many of the next bytes as lie ready, of a chunk that is fetched if none do."""
        if not self._left:
            self._left = memoryview(next(self._chunks))
        taken, self._left = self._left[:nbytes], self._left[nbytes:]
        self._at += len(taken)
        return taken


def check_unpacked_size(path: Path, unpacked: int, packed: int) -> None:
    """Check that what a file of some size unpacks to is no bomb."""
    most = max(MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO * packed)
    if unpacked > most:
        raise CheckpointError(
            f"{path} has {packed} bytes and announces {unpacked} unpacked, expected at most {most}:"
            f" {MAX_UNPACKED_RATIO} times its size, or {MAX_UNPACKED_BYTES >> 20} MiB; if you "
            "trust it, write it again as numpy.savez does, or of torch each tensor.contiguous()"
        )


class _DirectoryReader(io.BufferedReader):
    """Refuses to read at once a longer list of members than archives have."""

    bounded = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.bounded and size is not None and size > MAX_DIRECTORY_BYTES:
            raise CheckpointError(
                f"{self.name} announces a list of members of {size} bytes, expected at most "
                f"{MAX_DIRECTORY_BYTES}: it is damaged, or no archive of arrays"
            )
        return super().read(size)
