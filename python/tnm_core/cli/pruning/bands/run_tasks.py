"""A run of ``tnm prune`` by tasks: files planned, tasks done by workers, files put in place."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tnm_core.build_info import __version__
from tnm_core.checkpoint import FileTransaction, PlannedFile
from tnm_core.cli.pruning.bands.cut_tasks import TaskCutter
from tnm_core.cli.pruning.bands.gather import FiguresOfLayers
from tnm_core.cli.pruning.bands.kept_tasks import KeptTasks
from tnm_core.cli.pruning.bands.tasks import MaskTask, Task, TaskResult, run_task
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor
from tnm_core.scale import Workers

Advance = Callable[[str, int], None]


@dataclass(frozen=True)
class TaskRun:
    """Does tasks where workers are, and keeps what is done if that is wanted."""

    cutter: TaskCutter
    workers: Workers
    kept: KeptTasks | None
    advance: Advance

    def dry(self) -> list[PrunedTensor]:
        """Find masks and write nothing."""
        return self._run([*self.cutter.dry_tasks()])

    def write(
        self,
        transaction: FileTransaction,
        plan: Callable[[str], list[PlannedFile]],
        folder: Path | None,
    ) -> list[PrunedTensor]:
        """Write files, which are the transaction's in the end.

        ``plan`` plans them for a run of a name; ``folder`` is made for them unless it is None.
        """
        if self.kept is None:
            planned = plan(secrets.token_hex(16))
            if folder is not None:
                transaction.make_folder(folder)
            paths = [transaction.allocate(file) for file in planned]
            return self._run([*self.cutter.tasks(planned, paths)])
        planned = plan(self.kept.begin(self._identity(plan("0" * 32))))
        paths = self.kept.allocate(planned)
        reports = self._run([*self.cutter.tasks(planned, paths)])
        if folder is not None:
            transaction.make_folder(folder)
        for file, path in zip(planned, paths, strict=True):
            transaction.take(path, file.target, last=file.last)
        return reports

    def _run(self, tasks: Sequence[Task]) -> list[PrunedTensor]:
        figures = FiguresOfLayers(self.cutter.source, self.cutter.settings, tasks)

        def add(number: int, result: TaskResult) -> None:
            task = tasks[number]
            figures.add(number, task, result)
            if isinstance(task, MaskTask):
                self.advance(task.name, task.entries)

        done: set[int] = set()
        if self.kept is not None:
            self.kept.total = len(tasks)
            for number, result in self.kept.recall():
                add(number, result)
            done = {*self.kept.done}
        missing = (numbered for numbered in enumerate(tasks) if numbered[0] not in done)
        for (number, _), result in self.workers.run(_run_numbered, missing):
            if self.kept is not None:
                self.kept.keep(number, result)
            add(number, result)
        return figures.reports

    def _identity(self, planned: Sequence[PlannedFile]) -> dict[str, Any]:
        """Say what a run depends on, so that another one can tell whether it may go on with it."""
        cutter = self.cutter
        files = {
            str(path.absolute()): [path.stat().st_size, path.stat().st_mtime_ns]
            for path in cutter.source.paths
        }
        heads = hashlib.sha256()
        for file in planned:
            heads.update(f"{file.target.name} {len(file.head)} ".encode() + file.head)
        return {
            "the files of the checkpoint": files,
            "the files to write": heads.hexdigest(),
            "the options": repr((cutter.settings, cutter.as_masks, {**cutter.chosen})),
            "the version of tnm_core": __version__,
        }


def _run_numbered(task: tuple[int, Task]) -> TaskResult:
    return run_task(task[1])
