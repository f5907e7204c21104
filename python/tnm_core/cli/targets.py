"""Files that a command is going to write: what is wrong with them, before hours are spent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tnm_core.checkpoint import INDEX_SUFFIX, disk_errors
from tnm_core.cli.errors import CommandError

PAGE_SUFFIX = ".html"


def check_report(path: Path, force: bool) -> None:
    """Check that a report, of JSON or HTML, can go to a place of that name."""
    # Whatever --force allows, a report can never land on weights or on an index.
    if path.suffix not in (".json", PAGE_SUFFIX) or path.name.endswith(INDEX_SUFFIX):
        raise CommandError(
            f"cannot write the report to {path}: expected a name like report.json or report.html"
        )
    if not path.parent.is_dir():
        raise CommandError(
            f"cannot write the report to {path}: {path.parent} is no folder; expected one that "
            "exists"
        )
    check_unused([path], force)


def check_unused(targets: Iterable[Path], force: bool) -> None:
    """Check that nothing is replaced unasked."""
    for path in targets:
        with disk_errors(path):
            exists = path.exists()
        if exists and not force:
            raise CommandError(f"{path} exists already; choose another name, or --force to replace")
