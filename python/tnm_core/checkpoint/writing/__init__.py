"""Files that appear complete or not at all: temporary files, locks, renames, disk errors."""

from __future__ import annotations

from tnm_core.checkpoint.writing.commit_journal import finish_stopped_run, is_stopped
from tnm_core.checkpoint.writing.disk_errors import disk_errors
from tnm_core.checkpoint.writing.file_transaction import FileTransaction
from tnm_core.checkpoint.writing.planned_file import PlannedFile
from tnm_core.checkpoint.writing.temporary_files import LeftoverWarning, try_lock

__all__ = [
    "FileTransaction",
    "LeftoverWarning",
    "PlannedFile",
    "disk_errors",
    "finish_stopped_run",
    "is_stopped",
    "try_lock",
]
