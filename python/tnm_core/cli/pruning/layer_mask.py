"""Compute the mask of one layer, block by block, and what it and its rivals retain; apply it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.arguments import Method, Score
from tnm_core.checkpoint import Box, Checkpoint, TensorInfo
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.magnitude_counts import MagnitudeCounts
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, panels
from tnm_core.cli.pruning.memory import most_entries
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor
from tnm_core.cli.pruning.unstructured import Blocks, unstructured_score
from tnm_core.pattern import Pattern


@dataclass(frozen=True)
class Settings:
    """How masks are found; the method is that of transposable masks."""

    pattern: Pattern
    method: Method = "optimal"
    score: Score = "abs"
    threads: int | None = None
    memory: int = 1 << 30  # bytes that the whole program may take

    @property
    def most_entries(self) -> int:
        """Entries that are worked on at once."""
        return most_entries(self.memory)

    @property
    def kind(self) -> str:
        """What reports call the mask that is applied: the method, or ``"rowwise"``."""
        return self.method if self.pattern.transposable else "rowwise"


def find_masks(
    source: Checkpoint,
    info: TensorInfo,
    axes: MatrixAxes,
    settings: Settings,
    report: PrunedTensor,
    advance: Callable[[int], None],
    *,
    fortran: bool = False,
) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Yield a layer and its mask in blocks, and report on it when all are taken.

    Blocks follow each other in C order, or in Fortran order if that is said; their memory is
    the caller's. ``advance`` is told how many entries were dealt with.
    """
    boxes = [*axes.boxes(info.shape, settings.pattern.m, settings.most_entries, fortran)]
    whole = UnstructuredScore(info, settings, len(boxes) == 1)

    def read() -> Iterator[NDArray[Any]]:
        return (source.read_block(info.name, box) for box in boxes)

    def told(figures: PrunedTensor) -> None:
        report.add(figures)
        advance(figures.entries)

    for box, block in zip(boxes, read(), strict=True):
        mask = solve_block(info.name, block, box, axes, settings, told)
        whole.see(block)
        yield block, mask
    complete(report, settings, whole.total(read))


class UnstructuredScore:
    """What unstructured pruning of a layer would keep, of which blocks are seen one by one."""

    def __init__(self, info: TensorInfo, settings: Settings, in_one_block: bool) -> None:
        self._entries, self._settings = info.entries, settings
        self._in_one_block = in_one_block
        self._total: float | None = None
        self.counts: MagnitudeCounts | None = None
        if info.array_dtype is not None and MagnitudeCounts.can_count(info.array_dtype):
            self.counts = MagnitudeCounts(info.array_dtype)

    @property
    def kept(self) -> int:
        """How many entries would be kept."""
        n, m = self._settings.pattern.pair
        return round(self._entries * n / m)

    def see(self, block: NDArray[Any]) -> None:
        """Look at a block of finite values, before it is pruned."""
        if self.counts is not None:
            self.counts.add(block)
        elif self._in_one_block:
            self._total = self._add_up(partial(iter, [block]))

    def total(self, read: Blocks) -> float:
        """Return the score; ``read`` yields the blocks again where a look was not enough."""
        if self.counts is not None:
            return self.counts.score(self.kept, self._settings.score)
        return self._add_up(read) if self._total is None else self._total

    def _add_up(self, read: Blocks) -> float:
        settings = self._settings
        with np.errstate(over="ignore"):
            return unstructured_score(
                read, self._entries, self.kept, settings.score, settings.most_entries
            )


def complete(report: PrunedTensor, settings: Settings, unstructured: float) -> None:
    """Complete the report on a layer, to which all parts were added."""
    _check_squares(report, settings.score)
    report.kept_scores["unstructured"] = unstructured


def _check_squares(report: PrunedTensor, score: Score) -> None:
    """Refuse squares of a whole tensor that over- or underflow."""
    vanished = report.largest > 0 and report.score == 0
    if score == "square" and (vanished or np.isinf(report.score)):
        raise CommandError(
            f"{report.name}: the squares of its weights, up to {report.largest:.1e}, add up to "
            f"{report.score} in float64, so that no share can be told; use --score abs"
        )


def solve_block(
    name: str,
    block: NDArray[Any],
    box: Box,
    axes: MatrixAxes,
    settings: Settings,
    told: Callable[[PrunedTensor], None],
) -> NDArray[np.bool_]:
    """Find the mask of a block, panel by panel, and tell the figures of each panel."""
    mask = np.empty(block.shape, dtype=np.bool_)
    weights, mask_view = axes.matrices(block), axes.matrices(mask)
    origin = [box[axis].start for axis in axes.value]
    for rows, columns in panels(weights.shape, settings.pattern.m, settings.most_entries):
        panel = weights[..., rows, columns]
        panel = panel.astype(panel.dtype.newbyteorder("="), copy=False)
        start = [*origin[:-2], origin[-2] + rows.start, origin[-1] + columns.start]
        _check_finite(name, panel, start, axes)
        try:
            masks, figures = _solve_panel(panel, settings)
        except ValueError as error:
            raise CommandError(f"{name}: {error}") from None
        mask_view[..., rows, columns] = masks[settings.kind]
        told(figures)
    return mask


def _solve_panel(
    panel: NDArray[Any], settings: Settings
) -> tuple[dict[str, NDArray[np.bool_]], PrunedTensor]:
    """Find masks of a panel by kind; time and certificate are those of the chosen one."""
    pattern = replace(settings.pattern, transposable=True)
    shared: dict[str, Any] = {"score": settings.score, "threads": settings.threads}
    figures = PrunedTensor("", panel.shape, "", panel.size)
    masks: dict[str, NDArray[np.bool_]] = {}
    kinds = dict.fromkeys(("optimal", "rowwise", settings.kind))
    for kind in kinds:
        start = time.perf_counter()
        if kind == "optimal":
            masks[kind], certificate = tnm.transposable_mask(
                panel, pattern, return_certificate=True, **shared
            )
        elif kind == "rowwise":
            masks[kind] = tnm.nm_mask(panel, pattern, **shared)
        else:
            masks[kind] = tnm.transposable_mask(panel, pattern, method=settings.method, **shared)
        if kind == settings.kind:
            figures.seconds = time.perf_counter() - start
    if settings.kind == "optimal":
        figures.worst_gap = certificate.worst_gap
    found = {kind: tnm.retained_score(panel, mask, **shared) for kind, mask in masks.items()}
    chosen = found[settings.kind]
    figures.kept, figures.largest, figures.score = chosen.kept_entries, chosen.largest, chosen.total
    figures.kept_scores = {kind: one.kept for kind, one in found.items()}
    return masks, figures


def _check_finite(name: str, panel: NDArray[Any], start: Sequence[int], axes: MatrixAxes) -> None:
    finite = np.isfinite(panel)
    if finite.all():
        return
    first = tuple(int(position) for position in np.argwhere(~finite)[0])
    index = axes.index_text([at + begin for at, begin in zip(first, start, strict=True)])
    raise CommandError(
        f"{name}[{index}] is {panel[first]}; expected finite weights: repair the tensor or leave "
        f"it out with --exclude"
    )


def drop_(block: NDArray[Any], mask: NDArray[np.bool_]) -> None:
    """Set to zero what a mask of the same shape does not keep, in place."""
    # As integers, since NumPy has no loop for bfloat16, and `where=` goes entry by entry.
    bits = block.view(f"u{block.itemsize}")
    np.multiply(bits, mask, out=bits)
