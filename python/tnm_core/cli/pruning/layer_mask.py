"""Compute the mask of one layer, and what it and its rivals retain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.arguments import Method, Score
from tnm_core.checkpoint import TensorInfo
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, row_panels
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
    report = PrunedTensor(info.name, info.shape, info.dtype)
    weights, mask_view = axes.matrices(array), axes.matrices(mask)
    for start, rows in row_panels(weights, settings.pattern.m):
        panel = weights[..., rows, :]
        panel = panel.astype(panel.dtype.newbyteorder("="), copy=False)
        _check_finite(info.name, panel, start, axes)
        try:
            masks, figures = _solve_panel(panel, settings)
        except ValueError as error:
            raise CommandError(f"{info.name}: {error}") from None
        mask_view[..., rows, :] = masks[settings.kind]
        report.add(figures)
        advance(panel.size)
    with np.errstate(over="ignore"):
        report.kept_scores["unstructured"] = _unstructured_score(array, settings)
    return mask, report


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
    figures.kept = int(np.count_nonzero(masks[settings.kind]))
    _add_scores(figures, panel, masks, settings.score)
    return masks, figures


def _add_scores(
    figures: PrunedTensor, panel: NDArray[Any], masks: Mapping[str, NDArray[np.bool_]], score: Score
) -> None:
    with np.errstate(over="ignore"):  # float64 weights near its limit: their sum is inf
        scores = np.abs(panel.astype(np.float64, order="C"))
        if score == "square":
            np.square(scores, out=scores)
        figures.score = float(scores.sum())
        for kind, mask in masks.items():
            figures.kept_scores[kind] = float(scores.sum(where=mask))


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
    index = axes.index_text((*first[:-2], first[-2] + start, first[-1]))
    raise CommandError(
        f"{name}[{index}] is {panel[first]}; expected finite weights: repair the tensor or leave "
        f"it out with --exclude"
    )
