"""What commands say of a folder that an interrupted run has left, beside what it was to write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tnm_core.checkpoint import CheckpointError
from tnm_core.cli.errors import CommandError

IDENTITY = "run.json"  # of what, in such a folder


def folder_beside(output: Path) -> Path:
    """Return the hidden folder beside an output, or beside the file that a link leads to."""
    real = Path(os.path.realpath(output))
    return real.parent / f".{real.name[:100]}.tnm-resume"


def replaces_what_is_left(
    folder: Path, *, resume: bool, force: bool, tell: Callable[[str], None]
) -> bool:
    """Speak of what an interrupted run has left; return whether it goes, and refuse that unasked.

    Raises
    ------
    CommandError
        If there is something, and it is neither to be resumed nor to be replaced.
    """
    if resume or not folder.exists():
        return False
    if not force:
        raise CommandError(
            f"an interrupted run left {folder}; --resume continues it, --force begins anew, or "
            "remove that folder"
        )
    tell(f"{folder}, which an interrupted run left, is replaced")
    return True


def read_identity(folder: Path) -> dict[str, Any]:
    """Read of what an interrupted run was.

    Raises
    ------
    CheckpointError
        If that is missing or damaged.
    """
    try:
        found = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CheckpointError(
            f"cannot resume from {folder}: {IDENTITY} in it is missing or damaged; remove that "
            "folder to begin anew"
        )
    return found


def check_same_inputs(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a CheckpointError that names what differs from what the interrupted run was of."""
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        raise differ(folder, differing)


def differ(folder: Path, names: Iterable[str]) -> CheckpointError:
    """Return the error to raise where an interrupted run was of other inputs."""
    return CheckpointError(
        f"cannot resume from {folder}: {', '.join(names)} differ from those of the interrupted "
        "run; expected the same, or remove that folder to begin anew"
    )


def kept_in(folder: Path, done: str) -> str:
    """Say where an interrupted run leaves what it has done, and how to go on."""
    return f"what is done ({done}) is kept in {folder}; the same command with --resume continues it"
