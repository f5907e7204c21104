"""A run cut into tasks, always in the same way, so that a later run knows which are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tnm_core.checkpoint import Box, Checkpoint, PlannedFile, TensorInfo
from tnm_core.cli.pruning.bands.tasks import (
    CopyTask,
    MaskTask,
    Place,
    ScoreTask,
    SourceFile,
    Task,
    entries_of,
)
from tnm_core.cli.pruning.layer_mask import Settings
from tnm_core.cli.pruning.magnitude_counts import MagnitudeCounts
from tnm_core.cli.pruning.matrix_axes import MatrixAxes

_ENTRIES = 1 << 24  # of a task, if tiles allow: what a worker that dies has done in vain
_COPIED_BYTES = 1 << 26


@dataclass(frozen=True)
class TaskCutter:
    """Cuts layers and files into tasks.

    ``chosen`` are the layers that are pruned. Where nothing is written there are no files.
    """

    source: Checkpoint
    chosen: Mapping[str, MatrixAxes]
    settings: Settings
    as_masks: bool = False

    def tasks(self, planned: Sequence[PlannedFile], paths: Sequence[Path]) -> Iterator[Task]:
        """Yield tasks for files that are planned, and lie meanwhile under some paths."""
        homes = self._homes()
        for file, path in zip(planned, paths, strict=True):
            copied: list[tuple[str, Place]] = []
            for name, start in file.places.items():
                place = Place(str(path.absolute()), file.size, start)
                if name in self.chosen:
                    yield from self._layer(name, homes[name], place)
                    continue
                if copied and not self._fit(copied, name, homes):
                    yield _copy_task(homes, copied)
                    copied = []
                copied.append((name, place))
            if copied:
                yield _copy_task(homes, copied)

    def dry_tasks(self) -> Iterator[Task]:
        """Yield tasks that write nothing."""
        homes = self._homes()
        for name in self.chosen:
            yield from self._layer(name, homes[name], None)

    def _homes(self) -> dict[str, SourceFile]:
        """Tell in which file each tensor lies."""
        return {
            name: file
            for part in self.source.parts.values()
            for file in [SourceFile.of(part.path)]
            for name in part.tensors
        }

    def _fit(
        self, copied: Sequence[tuple[str, Place]], name: str, homes: Mapping[str, SourceFile]
    ) -> bool:
        """Tell whether one more tensor is copied in the same task."""
        size = sum(self.source.tensors[one].nbytes for one in (*(n for n, _ in copied), name))
        return size <= _COPIED_BYTES and homes[name] == homes[copied[0][0]]

    def _layer(self, name: str, home: SourceFile, place: Place | None) -> Iterator[Task]:
        info, axes, settings = self.source.tensors[name], self.chosen[name], self.settings
        # In masks entries follow each other in C order, in other files as they did.
        writes_weights = place is not None and not self.as_masks
        fortran = info.fortran and writes_weights
        boxes = [*axes.boxes(info.shape, settings.pattern.m, settings.most_entries, fortran)]
        start = 0
        for group in _groups(boxes, whole_bytes=self.as_masks):
            there = None if place is None else Place(
                place.path, place.size, place.start + self._bytes_before(info, start)
            )  # fmt: skip
            is_whole = len(boxes) == 1
            yield MaskTask(home, name, axes, settings, group, is_whole, there, self.as_masks)
            start += sum(map(entries_of, group))
        if len(boxes) > 1 and not MagnitudeCounts.can_count(info.array_dtype):
            yield ScoreTask(home, name, settings, tuple(boxes))

    def _bytes_before(self, info: TensorInfo, entries: int) -> int:
        if self.as_masks:
            return entries // 8
        return entries * (info.nbytes // max(1, info.entries))


def _copy_task(homes: Mapping[str, SourceFile], copied: Sequence[tuple[str, Place]]) -> CopyTask:
    first = copied[0][0]
    return CopyTask(homes[first], first, tuple(copied))


def _groups(boxes: Sequence[Box], *, whole_bytes: bool) -> Iterator[tuple[Box, ...]]:
    """Put boxes that follow each other together; with as many entries as bytes have bits."""
    group: list[Box] = []
    entries = 0
    for box in boxes:
        here = entries_of(box)
        full = group and entries + here > _ENTRIES
        if full and not (whole_bytes and entries % 8):
            yield tuple(group)
            group, entries = [], 0
        group.append(box)
        entries += here
    if group:
        yield tuple(group)
