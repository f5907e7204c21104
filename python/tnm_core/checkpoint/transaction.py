"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO


class FileTransaction:
    """Write files under temporary names beside their targets; rename them when all is well.

    Used as a context manager. On any exception, Ctrl-C included, the temporary files are removed
    and the targets stay as they were. Each rename is atomic, so a target is never half written,
    whatever happens; several targets are renamed in the order in which they were opened.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[BinaryIO, Path, Path]] = []
        self._folders: list[Path] = []

    def open(self, target: Path) -> BinaryIO:
        """Open a file to write, which becomes ``target`` when the block ends well."""
        if target.is_dir():
            raise IsADirectoryError(f"cannot write {target}: it is a directory")
        name = f".{target.name[:100]}.{secrets.token_hex(6)}.tmp"
        temporary = target.with_name(name)
        file = temporary.open("xb")
        self._pending.append((file, temporary, target))
        if target.is_file():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        return file

    def make_folder(self, folder: Path) -> None:
        """Make a folder for targets, unless it exists; removed again if the block fails."""
        if not folder.is_dir():
            folder.mkdir()
            self._folders.append(folder)

    def __enter__(self) -> FileTransaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._commit()
        finally:
            self._discard()

    def _commit(self) -> None:
        for file, _, _ in self._pending:
            file.flush()
            os.fsync(file.fileno())
            file.close()
        for _, temporary, target in self._pending:
            temporary.replace(target)
        for folder in {target.parent for _, _, target in self._pending}:
            _sync_folder(folder)
        self._pending.clear()
        self._folders.clear()

    def _discard(self) -> None:
        for file, temporary, _ in self._pending:
            file.close()
            temporary.unlink(missing_ok=True)
        for folder in self._folders:
            folder.rmdir()


def _sync_folder(folder: Path) -> None:
    # A rename survives a power cut only once its folder is on disk; not all systems allow that.
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
