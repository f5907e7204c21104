"""What ``tnm calibrate`` does, once its arguments are checked; needs torch."""

from __future__ import annotations

from tnm_core.cli.calibration.job import Outcome, prune
from tnm_core.cli.calibration.plan import Wish, wanted_patterns
from tnm_core.cli.calibration.source import Task, open_source

__all__ = [
    "Outcome",
    "Task",
    "Wish",
    "open_source",
    "prune",
    "wanted_patterns",
]
