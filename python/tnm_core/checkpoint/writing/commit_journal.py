"""Replacing several files of a folder as one: a run that is killed midway is finished by the next.

Renames are atomic one by one only. So they are first written down in a ``.NAME.<hex>.commit``. From
then on all new files exist, and what is still to do is to remove the old file ``NAME``, without
which the folder does not look complete (an index), to rename the others, and ``NAME`` last of all.
Whoever writes to the folder next, and finds such a file that no living run holds, does the rest.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.writing.disk_errors import disk_errors
from tnm_core.checkpoint.writing.temporary_files import (
    LeftoverWarning,
    folder_locked,
    is_temporary_of,
    remove,
    target_name,
    temporary_path,
    try_lock,
)

Renames = Sequence[tuple[str, str]]  # temporary name, name; the one that completes the folder last


def commit(folder: Path, renames: Renames, promised: Callable[[], None]) -> None:
    """Rename files of one folder, all or, should the run be killed, by the next run.

    ``promised`` is called at the moment from which on the temporary files must not be removed.
    """
    seal = folder / renames[-1][1]
    draft, journal = temporary_path(seal), temporary_path(seal, "commit")
    try:
        with draft.open("xb") as file:
            try_lock(file.fileno())
            os.write(file.fileno(), json.dumps({"renames": list(renames)}).encode())
            os.fsync(file.fileno())
            sync_folder(folder)  # the temporary files are on disk before they are promised
            os.replace(draft, journal)  # noqa: PTH105 - by the one name that crash tests count
            promised()
            sync_folder(folder)
            _carry_out(folder, renames)
            os.unlink(journal)  # noqa: PTH108
    finally:
        with suppress(OSError):
            remove(draft)


def is_stopped(folder: Path) -> bool:
    """Tell whether a run was stopped while it replaced files of a folder, or is just doing so."""
    return bool(_journals(folder))


def finish_stopped_run(folder: Path) -> None:
    """Do what is left of a run that was killed while it replaced files of a folder.

    Nothing is done where there is no such run; a `LeftoverWarning` tells of one.

    Raises
    ------
    CheckpointError
        If a living run is just replacing files, or its journal is damaged.
    """
    with disk_errors(folder):
        if folder.is_dir() and _journals(folder):
            with folder_locked(folder):
                finish_in_locked(folder)


def finish_in_locked(folder: Path) -> None:
    """Do the same in a folder that `folder_locked` holds."""
    for journal in _journals(folder):
        with journal.open("rb") as file:
            if not try_lock(file.fileno()):
                raise CheckpointError(
                    f"another run is replacing files of {folder}; wait until it is done"
                )
            renames = _read(journal, file.read())
            _carry_out(folder, renames)
            os.unlink(journal)  # noqa: PTH108
        names = ", ".join(name for _, name in renames)
        warnings.warn(
            LeftoverWarning(
                f"finished a run that was killed while it replaced {names} in {folder}"
            ),
            stacklevel=2,
        )


def _journals(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if target_name(path, "commit") is not None]


def _carry_out(folder: Path, renames: Renames) -> None:
    *_, (last, seal) = renames
    if (folder / last).exists():
        with suppress(FileNotFoundError):
            os.unlink(folder / seal)  # noqa: PTH108
        sync_folder(folder)
    for temporary, name in renames:
        with suppress(FileNotFoundError):  # which was renamed before the run was killed
            os.replace(folder / temporary, folder / name)  # noqa: PTH105
        if name == renames[-2][1]:
            sync_folder(folder)  # before the last one says that all is there
    sync_folder(folder)


def _read(journal: Path, text: bytes) -> Renames:
    """Read a journal; it comes from a folder of anybody's, so it may rename plain names alone."""
    try:
        renames: Any = json.loads(text)["renames"]
        pairs = [(str(temporary), str(name)) for temporary, name in renames]
        if len(pairs) < 2:
            raise ValueError
        for pair in pairs:
            if any(Path(one).name != one for one in pair):
                raise ValueError
            if not is_temporary_of(Path(pair[0]), pair[1]):
                raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CheckpointError(
            f"{journal} is damaged; expected the journal of a run that was killed: remove it, and "
            f"write {journal.parent} anew"
        ) from None
    return pairs


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk: a rename survives a power cut only then."""
    with suppress(OSError):  # not all systems allow it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
