"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tnm_core.checkpoint.errors import CheckpointError


@dataclass
class _Pending:
    temporary: Path
    target: Path
    file: BinaryIO | None = None


class FileTransaction:
    """Write files under temporary names beside their targets; rename them when all is well.

    Used as a context manager. On any exception, Ctrl-C included, the temporary files are removed
    and the targets stay as they were. Each rename is atomic, so a target is never half written,
    whatever happens; several targets are renamed in the order in which they were opened.
    """

    def __init__(self) -> None:
        self._pending: list[_Pending] = []
        self._folders: list[Path] = []

    def open(self, target: Path) -> BinaryIO:
        """Open a file to write, which becomes ``target`` when the block ends well."""
        if target.exists() and not target.is_file():
            raise CheckpointError(f"cannot write {target}: it exists and is not a regular file")
        name = f".{target.name[:100]}.{secrets.token_hex(6)}.tmp"
        pending = _Pending(target.with_name(name), target)
        self._pending.append(pending)  # first, so that an interrupt cannot leave the file behind
        try:
            pending.file = pending.temporary.open("xb")
            if target.exists():
                pending.temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        except OSError as error:
            raise _cannot_write(target, error) from None
        return pending.file

    def make_folder(self, folder: Path) -> None:
        """Make a folder for targets, unless it exists; removed again if the block fails."""
        if folder.is_dir():
            return
        try:
            folder.mkdir()
        except OSError as error:
            raise _cannot_write(folder, error) from None
        self._folders.append(folder)

    def __enter__(self) -> FileTransaction:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            if error is None:
                self._commit()
        finally:
            self._discard()

    def _commit(self) -> None:
        for pending in self._pending:
            if pending.file is not None:
                pending.file.flush()
                os.fsync(pending.file.fileno())
                pending.file.close()
        for pending in self._pending:
            pending.temporary.replace(pending.target)
        for folder in {pending.target.parent for pending in self._pending}:
            _sync_folder(folder)
        self._pending.clear()
        self._folders.clear()

    def _discard(self) -> None:
        for pending in self._pending:
            if pending.file is not None:
                with suppress(OSError):  # a full disk refuses the last buffer here, too
                    pending.file.close()
            with suppress(OSError):
                pending.temporary.unlink()
        for folder in self._folders:
            with suppress(OSError):
                folder.rmdir()


def _cannot_write(target: Path, error: OSError) -> CheckpointError:
    reason = error.strerror or str(error)
    return CheckpointError(
        f"cannot write {target}: {reason[:1].lower()}{reason[1:]}; "
        "expected a place in a folder that exists and is writable"
    )


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once its folder is on disk; not all systems allow that.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
