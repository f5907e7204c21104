"""The files that ``--report`` names: JSON or a page, as their names end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tnm_core.checkpoint import FileTransaction
from tnm_core.cli.console import json_text
from tnm_core.cli.errors import CommandError
from tnm_core.cli.report_page.page import PruneRun, page
from tnm_core.cli.targets import PAGE_SUFFIX, check_report


class ReportFiles:
    """Files that are to hold the report of a run.

    Parameters
    ----------
    paths : sequence of Path or None
        As the options name them.
    force : bool
        Whether what is there may be replaced.

    Raises
    ------
    CommandError
        If a name has another ending, is given twice, or exists and is not to be replaced.
    """

    def __init__(self, paths: Sequence[Path] | None, force: bool) -> None:
        self._paths = tuple(paths or ())
        for place, path in enumerate(self._paths):
            check_report(path, force)
            if path in self._paths[:place]:
                raise CommandError(f"--report {path} is given twice; expected different files")

    @property
    def has_page(self) -> bool:
        """Whether one of them is a page, for which a run has to look at masks."""
        return any(path.suffix == PAGE_SUFFIX for path in self._paths)

    def open(self, transaction: FileTransaction) -> Callable[[PruneRun], None]:
        """Open all files; the result writes them once the run is done."""
        files = [(path, transaction.open(path)) for path in self._paths]

        def write(run: PruneRun) -> None:
            for path, file in files:
                is_page = path.suffix == PAGE_SUFFIX
                text = page(run) if is_page else f"{json_text(run.report)}\n"
                file.write(text.encode())

        return write
