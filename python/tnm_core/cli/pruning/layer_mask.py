"""Compute the mask of one layer, and what it and its rivals retain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.arguments import Method, Score
from tnm_core.checkpoint import TensorInfo
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, matrices, row_panels, tensor_index
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor
from tnm_core.pattern import Pattern


@dataclass(frozen=True)
class Settings:
    """How masks are found; the method is that of transposable masks."""

    pattern: Pattern
    method: Method = "optimal"
    score: Score = "abs"
    threads: int | None = None

    @property
    def kind(self) -> str:
        """What reports call the mask that is applied: the method, or ``"rowwise"``."""
        return self.method if self.pattern.transposable else "rowwise"


@dataclass
class _Panel:
    """Masks of a panel by kind, the seconds that the chosen one took, and the optimum's gap."""

    masks: dict[str, NDArray[np.bool_]]
    seconds: float
    worst_gap: float


def find_mask(
    info: TensorInfo,
    array: NDArray[Any],
    axes: MatrixAxes,
    settings: Settings,
    advance: Callable[[int], None],
) -> tuple[NDArray[np.bool_], PrunedTensor]:
    """Find the mask of a layer, shaped like its weight, and report on it.

    ``advance`` is told how many entries were dealt with.
    """
    mask = np.empty(array.shape, dtype=np.bool_)
    report = PrunedTensor(info.name, info.shape, info.dtype, array.size)
    weights, mask_view = matrices(array, axes), matrices(mask, axes)
    for start, rows in row_panels(weights, settings.pattern.m):
        panel = weights[..., rows, :]
        panel = panel.astype(panel.dtype.newbyteorder("="), copy=False)
        _check_finite(info.name, panel, start, axes)
        try:
            solved = _solve_panel(panel, settings)
        except ValueError as error:
            raise CommandError(f"{info.name}: {error}") from None
        mask_view[..., rows, :] = solved.masks[settings.kind]
        with np.errstate(over="ignore"):  # float64 weights near its limit: their sum is inf
            _add_panel(report, panel, solved, settings)
        advance(panel.size)
    report.kept = int(np.count_nonzero(mask))
    with np.errstate(over="ignore"):
        report.kept_scores["unstructured"] = _unstructured_score(array, settings)
    return mask, report


def apply_mask(array: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Set dropped weights to zero, in place."""
    np.copyto(array, array.dtype.type(0), where=~mask)
    return array


def _solve_panel(panel: NDArray[Any], settings: Settings) -> _Panel:
    pattern = replace(settings.pattern, transposable=True)
    masks: dict[str, NDArray[np.bool_]] = {}
    seconds: dict[str, float] = {}
    start = time.perf_counter()
    optimal, certificate = tnm.transposable_mask(
        panel,
        pattern,
        score=settings.score,
        threads=settings.threads,
        return_certificate=True,
    )
    masks["optimal"], seconds["optimal"] = optimal, time.perf_counter() - start
    start = time.perf_counter()
    masks["rowwise"] = tnm.nm_mask(panel, pattern, score=settings.score, threads=settings.threads)
    seconds["rowwise"] = time.perf_counter() - start
    if settings.kind not in masks:
        start = time.perf_counter()
        masks[settings.kind] = tnm.transposable_mask(
            panel,
            pattern,
            method=settings.method,
            score=settings.score,
            threads=settings.threads,
        )
        seconds[settings.kind] = time.perf_counter() - start
    return _Panel(masks, seconds[settings.kind], certificate.worst_gap)


def _add_panel(
    report: PrunedTensor, panel: NDArray[Any], solved: _Panel, settings: Settings
) -> None:
    scores = np.abs(panel.astype(np.float64, order="C"))
    if settings.score == "square":
        np.square(scores, out=scores)
    report.score += float(scores.sum())
    for kind, mask in solved.masks.items():
        kept = float(scores.sum(where=mask))
        report.kept_scores[kind] = report.kept_scores.get(kind, 0.0) + kept
    report.seconds += solved.seconds
    if settings.kind == "optimal":
        report.worst_gap = max(report.worst_gap or 0.0, solved.worst_gap)


def _unstructured_score(array: NDArray[Any], settings: Settings) -> float:
    """Add up the largest weights of the whole layer, as many as the pattern keeps."""
    pattern = settings.pattern
    dropped = array.size - round(array.size * pattern.n / pattern.m)
    wide = np.float64 if array.dtype.itemsize == 8 else np.float32
    magnitudes = array.astype(wide).reshape(-1)
    np.abs(magnitudes, out=magnitudes)
    if 0 < dropped < magnitudes.size:
        magnitudes.partition(dropped)
    kept = magnitudes[dropped:]
    if settings.score == "square":
        return float(np.einsum("i,i->", kept, kept, dtype=np.float64))
    return float(kept.sum(dtype=np.float64))


def _check_finite(name: str, panel: NDArray[Any], start: int, axes: MatrixAxes) -> None:
    finite = np.isfinite(panel)
    if finite.all():
        return
    first = tuple(int(position) for position in np.argwhere(~finite)[0])
    row = (*first[:-2], first[-2] + start, first[-1])
    index = ", ".join(map(str, tensor_index(row, axes)))
    raise CommandError(
        f"{name}[{index}] is {panel[first]}; expected finite weights: repair the tensor or leave "
        f"it out with --exclude"
    )
