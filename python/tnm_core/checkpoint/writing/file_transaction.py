"""One or several files, and new folders, that appear complete or not at all."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.writing.commit_journal import commit, finish_in_locked, sync_folder
from tnm_core.checkpoint.writing.disk_errors import disk_errors
from tnm_core.checkpoint.writing.interrupts import interrupts_held
from tnm_core.checkpoint.writing.planned_file import PlannedFile
from tnm_core.checkpoint.writing.temporary_files import (
    clear_all_leftovers,
    clear_leftovers,
    folder_locked,
    remove,
    temporary_path,
    try_lock,
)

_BUFFER_BYTES = 1 << 16


class OutputFile(io.FileIO):
    """A file whose errors name what it will be called."""

    def __init__(self, path: Path, target: Path) -> None:
        super().__init__(path, "xb")
        self._target = target

    def write(self, data: Any, /) -> int:
        """Write bytes; `CheckpointError` if the disk refuses."""
        with disk_errors(self._target):
            return os.write(self.fileno(), data)  # by the one name that crash tests count


@dataclass
class _Pending:
    """A file or folder under its temporary name; ``lock`` is open as long as the run lives."""

    temporary: Path
    real: Path  # where links of the target lead
    target: Path  # as the user knows it
    replaces: bool  # whatever lies there; else nothing may
    last: bool = False
    file: io.BufferedWriter | None = None
    lock: int | None = None
    mode: int | None = None  # of what is replaced, which may forbid to write

    def finish(self) -> None:
        """Put what was written on disk."""
        if self.file is not None and self.lock is not None:
            if not self.file.closed:
                self.file.flush()
            os.fsync(self.lock)
            self.file.close()
        if self.mode is not None:
            self.temporary.chmod(self.mode)

    def appear(self) -> None:
        """Give the file its name; a new one takes no name that another run has taken since.

        The temporary name may still be there afterwards.
        """
        self.check_unused()
        if self.replaces:
            os.replace(self.temporary, self.real)  # noqa: PTH105 - as crash tests count it
            return
        try:
            os.link(self.temporary, self.real)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            os.replace(self.temporary, self.real)  # noqa: PTH105

    def check_unused(self) -> None:
        """Raise if a new target has appeared since."""
        if not self.replaces and os.path.lexists(self.real):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def unlock(self) -> None:
        """Let others have it."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


class FileTransaction:
    """Write files under temporary names beside their targets; rename them when all is well.

    Used as a context manager. On any exception, Ctrl-C included, the temporary files are removed
    and the targets stay as they were. Each rename is atomic, so a target is never half written,
    whatever happens. A new folder appears with all its files at once. Files of a folder that exists
    are replaced as one: should the run be killed between two renames, the next run that writes
    there does the rest, and until then the file opened with ``last=True`` is missing.

    A target that is a link keeps being one: the file that it leads to is replaced. A run to the
    same target that is still at work is an error; what a killed one has left is removed, with a
    `LeftoverWarning`. Whatever the disk refuses is a `CheckpointError` that names the file.
    """

    def __init__(self) -> None:
        self._files: list[_Pending] = []
        self._folders: list[_Pending] = []
        self._scratch: list[_Pending] = []
        self._done: list[_Pending] = []

    def open(self, target: Path, *, last: bool = False) -> BinaryIO:
        """Open a file to write, which becomes ``target`` when the block ends well.

        Of several files in a folder that exists, the one with ``last`` is that without which the
        others are not read, such as an index. Closing the file early is allowed.
        """
        with disk_errors(target):
            real = self._staged(Path(os.path.realpath(target)))
            existed = os.path.lexists(real)
            if existed and not real.is_file():
                raise CheckpointError(f"cannot write {target}: it exists and is not a regular file")
            replaces = existed or self._is_new(real)
            pending = _Pending(temporary_path(real), real, target, replaces, last)
            with self._to_itself(real.parent):
                if not self._is_new(real.parent):
                    finish_in_locked(real.parent)
                    clear_leftovers(real)
                self._files.append(pending)  # first, so that no interrupt leaves the file behind
                raw = OutputFile(pending.temporary, target)
                pending.lock = os.dup(raw.fileno())
                try_lock(pending.lock)
            pending.file = io.BufferedWriter(raw, _BUFFER_BYTES)
            if existed:
                pending.mode = stat.S_IMODE(real.stat().st_mode)
                pending.temporary.chmod(pending.mode | stat.S_IRUSR | stat.S_IWUSR)
        return cast(BinaryIO, pending.file)

    def allocate(self, planned: PlannedFile) -> Path:
        """Make a planned file with its head, for others to fill in; tell where it lies meanwhile.

        It is complete when all of them have written before the block ends well.
        """
        with self.open(planned.target, last=planned.last) as file:
            path = Path(file.name)
            with disk_errors(planned.target):
                file.write(planned.head)
                file.truncate(planned.size)
        return path

    def take(self, path: Path, target: Path, *, last: bool = False) -> None:
        """Take over a finished file of the same file system, under a further name if there can be.

        So a file that took long to make outlives a block that ends badly.
        """
        self.open(target, last=last).close()
        pending = self._files[-1]
        with disk_errors(target):
            shutil.copymode(pending.temporary, path)
            spare = temporary_path(pending.real)
            try:
                os.link(path, spare)
            except OSError:  # a file system without hard links, or another one
                shutil.move(path, spare)
            os.replace(spare, pending.temporary)  # noqa: PTH105
            pending.unlock()
            pending.lock = os.open(pending.temporary, os.O_RDWR)
            try_lock(pending.lock)

    def make_folder(self, folder: Path) -> None:
        """Make a folder for targets, unless it exists; it appears together with its files."""
        with disk_errors(folder):
            real = self._staged(Path(os.path.realpath(folder)))
            if self._is_new(real):
                real.mkdir(exist_ok=True)
            elif real.is_dir():
                with folder_locked(real):
                    finish_in_locked(real)
                    clear_all_leftovers(real)
            else:
                self._add_folder(self._folders, real, folder)

    def scratch_folder(self, beside: Path) -> Path:
        """Make a folder beside a target that is removed before the target appears."""
        with disk_errors(beside):
            real = self._staged(Path(os.path.realpath(beside)))
            pending = self._add_folder(self._scratch, real.with_name("scratch"), beside)
        return pending.temporary

    def __enter__(self) -> FileTransaction:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            if error is None:
                with interrupts_held():
                    self._commit()
        finally:
            with interrupts_held():
                self._discard()

    def _add_folder(self, kept: list[_Pending], real: Path, target: Path) -> _Pending:
        pending = _Pending(temporary_path(real), real, target, replaces=False)
        with self._to_itself(real.parent):
            clear_leftovers(real)
            kept.append(pending)
            pending.temporary.mkdir()
            if os.name == "posix":
                pending.lock = os.open(pending.temporary, os.O_RDONLY)
                try_lock(pending.lock)
        return pending

    def _is_new(self, real: Path) -> bool:
        """Tell whether a place lies in a new folder, where nobody else writes."""
        return any(real.is_relative_to(one.temporary) for one in self._folders)

    def _to_itself(self, real: Path) -> AbstractContextManager[None]:
        return nullcontext() if self._is_new(real) else folder_locked(real)

    def _staged(self, real: Path) -> Path:
        """Tell where a path lies until the new folder that it is in appears."""
        for folder in self._folders:
            if real == folder.real or folder.real in real.parents:
                return folder.temporary / real.relative_to(folder.real)
        return real

    def _commit(self) -> None:
        for pending in self._files:
            with disk_errors(pending.target):
                pending.finish()
                if os.name == "nt":  # which renames no open file
                    pending.unlock()
        for pending in self._scratch:
            with disk_errors(pending.temporary, "remove"):
                remove(pending.temporary)
        for pending in [*self._files, *self._folders]:
            with disk_errors(pending.target):
                pending.check_unused()
        together = self._together()
        for pending in [one for one in self._files if one not in together]:
            with disk_errors(pending.target):
                pending.appear()
                sync_folder(pending.real.parent)
        if together:
            seal = together[-1]
            renames = [(one.temporary.name, one.real.name) for one in together]
            with disk_errors(seal.target):
                commit(seal.real.parent, renames, lambda: self._forget(together))
        for folder in [*self._folders]:
            with disk_errors(folder.target):
                for inside, _, _ in os.walk(folder.temporary):
                    sync_folder(Path(inside))
                os.rename(folder.temporary, folder.real)  # noqa: PTH104
                sync_folder(folder.real.parent)
            self._folders.remove(folder)
            self._done.append(folder)

    def _together(self) -> list[_Pending]:
        """List files that only make sense together and replace others, the last one last."""
        seals = [one for one in self._files if one.last]
        if not seals:
            return []
        folder = seals[-1].real.parent
        if self._is_new(folder):
            return []
        group = [one for one in self._files if one.real.parent == folder]
        return sorted(group, key=lambda one: one is seals[-1]) if len(group) > 1 else []

    def _forget(self, done: list[_Pending]) -> None:
        self._files = [one for one in self._files if one not in done]
        self._done += done

    def _discard(self) -> None:
        left = []
        for pending in [*self._files, *self._scratch, *self._folders]:
            if pending.file is not None:
                with suppress(OSError, CheckpointError):  # a full disk refuses the last buffer, too
                    pending.file.close()
            try:
                remove(pending.temporary)
            except OSError as error:
                left.append(f"{pending.temporary} ({error.strerror})")
        for pending in [*self._files, *self._scratch, *self._folders, *self._done]:
            pending.unlock()
        self._files, self._folders, self._scratch, self._done = [], [], [], []
        if left:
            raise CheckpointError(f"cannot remove {', '.join(left)}: remove it, nothing needs it")
