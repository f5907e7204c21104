"""Files and folders under temporary names: whose they are, and what killed runs left of them.

A temporary file ``.NAME.<12 hex digits>.tmp`` lies beside its target ``NAME`` and is locked (flock)
as long as its run lives. So the next run to the same target can tell a leftover, which it removes,
from the file of a run that is still at work, before which it gives way.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tnm_core.checkpoint.errors import CheckpointError

if sys.platform != "win32":
    import fcntl

_LONGEST_NAME = 100  # bytes; with dot, digits and ending well below the 255 of file systems
_NAME = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.(?P<ending>tmp|commit)", re.DOTALL)


class LeftoverWarning(UserWarning):
    """A run that was killed had left something, which was removed or finished."""


def temporary_path(target: Path, ending: str = "tmp") -> Path:
    """Make up a name beside a target that nothing has."""
    return target.with_name(f".{_stem(target.name)}.{secrets.token_hex(6)}.{ending}")


def target_name(path: Path, ending: str = "tmp") -> str | None:
    """Tell the (perhaps shortened) name of the target of a temporary path; None if it is none."""
    match = _NAME.fullmatch(path.name)
    return match["name"] if match is not None and match["ending"] == ending else None


def is_temporary_of(path: Path, name: str) -> bool:
    """Tell whether a path is a temporary one of a target with that name."""
    return target_name(path) == _stem(name)


def _stem(name: str) -> str:
    raw = os.fsencode(name)
    if len(raw) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:12]  # so that long names do not meet
    return f"{name[: _LONGEST_NAME // 5]}~{digest}"


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder; False if another run holds it. Closing it unlocks it."""
    if sys.platform == "win32":  # pragma: no cover
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: as if nobody else were there
        return True
    return True


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Let one run at a time look for temporary files in a folder and make its own."""
    if sys.platform == "win32":  # pragma: no cover
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def clear_leftovers(target: Path) -> None:
    """Remove what killed runs to this target left; refuse if a run to it is still at work.

    The folder must be locked by `folder_locked`.
    """
    removed = []
    for path in sorted(target.parent.iterdir()):
        if not is_temporary_of(path, target.name):
            continue
        if not _remove_unlocked(path):
            raise CheckpointError(
                f"cannot write {target}: another run is writing it ({path.name}); wait until it "
                "is done, or choose another name"
            )
        removed.append(path)
    _tell(removed)


def clear_all_leftovers(folder: Path) -> None:
    """Remove what killed runs left in a folder, whatever their targets; living ones are spared."""
    found = [path for path in sorted(folder.iterdir()) if target_name(path) is not None]
    _tell([path for path in found if _remove_unlocked(path)])


def _tell(removed: list[Path]) -> None:
    for path in removed:
        warnings.warn(
            LeftoverWarning(f"removed {path}, which a run that was killed had left"), stacklevel=2
        )


def _remove_unlocked(path: Path) -> bool:
    """Remove a temporary file or folder unless a living run holds it; tell whether it is gone."""
    if sys.platform == "win32":  # pragma: no cover
        with suppress(OSError):  # which an open file refuses there
            remove(path)
        return not path.exists()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:  # a link, or a file that may not be read
        remove(path)
        return True
    try:
        if not try_lock(descriptor):
            return False
        remove(path)
    finally:
        os.close(descriptor)
    return True


def remove(path: Path) -> None:
    """Remove a temporary file or folder, if it is there."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)  # noqa: PTH108 - by the one name that crash tests count
