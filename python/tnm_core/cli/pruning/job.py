"""One run of ``tnm prune``: what is read, pruned, written and reported."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import (
    Checkpoint,
    FileTransaction,
    PlannedFile,
    PruneRecord,
    TensorInfo,
    Transform,
    plan_masks,
    write_masks,
)
from tnm_core.cli.console import report_head
from tnm_core.cli.model_directory import (
    Companions,
    copy_companions,
    is_directory_target,
    written_name,
)
from tnm_core.cli.progress import progress_bar
from tnm_core.cli.pruning.bands import KeptTasks, TaskCutter, TaskRun
from tnm_core.cli.pruning.layer_mask import Settings, drop_, find_masks, solve_block
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, ThreeD
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor
from tnm_core.cli.pruning.selection import SelectedTensors, axes_to_tell
from tnm_core.cli.skips import skip_json
from tnm_core.scale import Workers

_CORNER = 64  # entries along a side: no picture shows more

Advance = Callable[[str, int], None]
Look = Callable[[TensorInfo, MatrixAxes, NDArray[Any], NDArray[np.bool_]], None]
"""Is shown the first block of each layer and its mask, before the block is pruned."""

_Block = tuple[NDArray[Any], NDArray[np.bool_]]


def is_folder_job(source: Path, target: Path, masks_only: bool) -> bool:
    """Tell whether a model directory is written, not a file of tensors."""
    return source.is_dir() and not masks_only and is_directory_target(target)


def weight_targets(checkpoint: Checkpoint, folder: Path, target: Path) -> list[Path]:
    """List the files of weights in the directory that is written; the last completes it."""
    if len(checkpoint.paths) > 1:
        return checkpoint.targets(target)
    return [target / written_name(checkpoint.path.name)]


@dataclass
class PruneJob:
    """One run: what goes in, what comes out, and the figures of tensors as they are pruned."""

    source: Checkpoint
    folder: Path | None  # the model directory, if a directory is written
    output: Path | None
    masks_only: bool
    settings: Settings
    selected: SelectedTensors
    three_d: ThreeD
    pruned: list[PrunedTensor] = field(default_factory=list)
    companions: Companions = field(default_factory=Companions)
    look: Look | None = None
    shown: Collection[str] = ()  # layers that `look` is for
    workers: Workers = field(default_factory=Workers)
    kept: KeptTasks | None = None

    def run(self) -> None:
        """Prune, and write what was asked for."""
        names = self.selected.chosen
        total = sum(self.source.tensors[name].entries for name in names)
        with progress_bar(total) as advance:
            if self.workers.are_elsewhere or self.kept is not None:
                self._run_in_tasks(advance)
            elif self.output is None:
                for name in names:
                    for _ in self._masks(self.source.tensors[name], advance):
                        pass
            elif self.masks_only:
                infos = {name: self.source.tensors[name] for name in names}
                shapes = {name: info.shape for name, info in infos.items()}
                masks = (self._masks(info, advance) for info in infos.values())
                write_masks(self.output, shapes, masks, self._record())
            else:
                prune = partial(self._prune, advance=advance)
                with FileTransaction() as transaction:
                    self._write(transaction, self.output, prune)

    def _write(self, transaction: FileTransaction, output: Path, prune: Transform) -> None:
        out = output
        if self.folder is not None:
            transaction.make_folder(output)
            *_, out = weight_targets(self.source, self.folder, output)
        self.source.write_into(transaction, out, self._record(), prune)
        if self.folder is not None:
            self._copy_companions(transaction, self.folder, output)

    def _run_in_tasks(self, advance: Advance) -> None:
        chosen, output = self.selected.chosen, self.output
        cutter = TaskCutter(self.source, chosen, self.settings, self.masks_only)
        run = TaskRun(cutter, self.workers, self.kept, advance)
        if output is None:
            self.pruned = run.dry()
            self._look_at_corners()
            return
        last = self.weight_files[-1]
        in_folder = not self.masks_only and (self.folder is not None or len(self.source.paths) > 1)

        def plan(name: str) -> list[PlannedFile]:
            if self.masks_only:
                shapes = {name: self.source.tensors[name].shape for name in chosen}
                return [plan_masks(output, shapes, self._record())]
            return self.source.plan(last if self.folder else output, self._record(), name)

        with FileTransaction() as transaction:
            self.pruned = run.write(transaction, plan, last.parent if in_folder else None)
            self._look_at_corners()
            if self.folder is not None:
                self._copy_companions(transaction, self.folder, output)

    def _look_at_corners(self) -> None:
        """Show `look` corners of whole tiles, whose masks are those that they have in the layer."""
        if self.look is None:
            return
        pattern = self.settings.pattern
        for name in self.shown:
            info, axes = self.source.tensors[name], self.selected.chosen[name]
            matrix = axes.value[-2:]
            side = -(-_CORNER // pattern.m) * pattern.m
            box = tuple(
                slice(0, min(side if axis in matrix else 1, length))
                for axis, length in enumerate(info.shape)
            )
            block = self.source.read_block(name, box)
            mask = solve_block(name, block, box, axes, self.settings, lambda figures: None)
            self.look(info, axes, block, mask)

    def _copy_companions(self, transaction: FileTransaction, folder: Path, output: Path) -> None:
        names = {path.name for path in self.source.paths}
        self.companions = copy_companions(transaction, folder, output, names)

    def _masks(self, info: TensorInfo, advance: Advance) -> Iterator[NDArray[np.bool_]]:
        for _, mask in self._blocks(info, advance, fortran=False):
            yield mask

    def _prune(self, info: TensorInfo, advance: Advance) -> Iterator[NDArray[Any]]:
        for block, mask in self._blocks(info, advance, fortran=info.fortran):
            drop_(block, mask)
            yield block

    def _blocks(self, info: TensorInfo, advance: Advance, *, fortran: bool) -> Iterator[_Block]:
        axes, report = self.selected.chosen[info.name], PrunedTensor.of(info)
        self.pruned.append(report)
        blocks = find_masks(
            self.source,
            info,
            axes,
            self.settings,
            report,
            lambda entries: advance(info.name, entries),
            fortran=fortran,
        )
        return blocks if self.look is None else _shown(blocks, partial(self.look, info, axes))

    def _record(self) -> PruneRecord:
        settings, layers, three_d = self.settings, self.selected.chosen, self.three_d.value
        axes = axes_to_tell(self.source.tensors, layers) if self.masks_only else {}
        return PruneRecord.of(
            settings.pattern, settings.method, settings.score, layers, three_d, axes
        )

    @property
    def weight_files(self) -> list[Path]:
        """The files of weights, or of masks, that the run writes; none if it is dry."""
        if self.output is None:
            return []
        if self.masks_only:
            return [self.output]
        if self.folder is not None:
            return weight_targets(self.source, self.folder, self.output)
        return self.source.targets(self.output)

    def as_json(self, seconds: float) -> dict[str, Any]:
        """Write the report for machines."""
        settings, tensors = self.settings, self.source.tensors
        total = PrunedTensor.total(self.pruned).as_json()
        return {
            **report_head("prune"),
            "input": str(self.source.path),
            "output": None if self.output is None else str(self.output),
            "masks_only": self.masks_only,
            "pattern": settings.pattern.ratio,
            "n": settings.pattern.n,
            "m": settings.pattern.m,
            "method": settings.kind,
            "score": settings.score,
            "seconds": seconds,
            "layers": [tensor.as_json() for tensor in self.pruned],
            "total": {key: total[key] for key in total if key not in ("name", "shape", "dtype")},
            "skipped": [
                {"name": name, "shape": list(tensors[name].shape), **skip_json(skip)}
                for name, skip in self.selected.skipped.items()
            ],
            "not_copied": self.companions.as_json(),
        }


def _shown(
    blocks: Iterator[_Block], look: Callable[[NDArray[Any], NDArray[np.bool_]], None]
) -> Iterator[_Block]:
    """Show the first block, and hold on to none of them: they may be large."""
    for block, mask in blocks:
        look(block, mask)
        yield block, mask
        del block, mask
        break
    yield from blocks
