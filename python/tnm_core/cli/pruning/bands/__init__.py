"""Pruning a checkpoint in tasks, which any worker does, and which a later run need not repeat."""

from __future__ import annotations

from tnm_core.cli.pruning.bands.cut_tasks import TaskCutter
from tnm_core.cli.pruning.bands.kept_tasks import KeptTasks, keeping
from tnm_core.cli.pruning.bands.run_tasks import TaskRun

__all__ = ["KeptTasks", "TaskCutter", "TaskRun", "keeping"]
