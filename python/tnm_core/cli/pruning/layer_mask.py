"""Compute the mask of one layer, and what it and its rivals retain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.checkpoint import TensorInfo
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning.layout import Layout, matrices, row_panels, tensor_index
from tnm_core.cli.pruning.report import LayerReport
from tnm_core.pattern import Pattern


class Method(str, Enum):
    """Ways to find a mask."""

    OPTIMAL = "optimal"
    TWO_APPROXIMATION = "two_approximation"
    GREEDY = "greedy"
    ROWWISE = "rowwise"


class Score(str, Enum):
    """What a kept weight is worth."""

    ABS = "abs"
    SQUARE = "square"

    @property
    def keyword(self) -> Literal["abs", "square"]:
        """The value, of the type that the API asks for."""
        return "abs" if self is Score.ABS else "square"


@dataclass(frozen=True)
class Settings:
    """How masks are found."""

    pattern: Pattern
    method: Method = Method.OPTIMAL
    score: Score = Score.ABS
    threads: int | None = None


@dataclass
class _Panel:
    """Masks of a panel by kind, the seconds that the chosen one took, and the optimum's gap."""

    masks: dict[str, NDArray[np.bool_]]
    seconds: float
    worst_gap: float


def find_mask(
    info: TensorInfo,
    array: NDArray[Any],
    layout: Layout,
    settings: Settings,
    advance: Callable[[int], None],
) -> tuple[NDArray[np.bool_], LayerReport]:
    """Find the mask of a layer, shaped like its weight, and report on it.

    ``advance`` is told how many entries were dealt with.
    """
    mask = np.empty(array.shape, dtype=np.bool_)
    report = LayerReport(info.name, info.shape, info.dtype, array.size)
    weights, mask_view = matrices(array, layout), matrices(mask, layout)
    for start, rows in row_panels(weights, settings.pattern.m):
        panel = weights[..., rows, :]
        panel = panel.astype(panel.dtype.newbyteorder("="), copy=False)
        _require_finite(info.name, panel, start, layout)
        try:
            solved = _solve_panel(panel, settings)
        except ValueError as error:
            raise CommandError(f"{info.name}: {error}") from None
        mask_view[..., rows, :] = solved.masks[settings.method.value]
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
    n, m, score = settings.pattern.n, settings.pattern.m, settings.score.keyword
    masks: dict[str, NDArray[np.bool_]] = {}
    seconds: dict[str, float] = {}
    start = time.perf_counter()
    optimal, certificate = tnm.transposable_mask(
        panel, n, m, score=score, threads=settings.threads, return_certificate=True
    )
    masks["optimal"], seconds["optimal"] = optimal, time.perf_counter() - start
    start = time.perf_counter()
    masks["rowwise"] = tnm.nm_mask(panel, n, m, axis=-1, score=score, threads=settings.threads)
    seconds["rowwise"] = time.perf_counter() - start
    method = settings.method.value
    if method not in masks:
        approximation: Literal["greedy", "two_approximation"] = (
            "greedy" if settings.method is Method.GREEDY else "two_approximation"
        )
        start = time.perf_counter()
        masks[method] = tnm.transposable_mask(
            panel, n, m, method=approximation, score=score, threads=settings.threads
        )
        seconds[method] = time.perf_counter() - start
    return _Panel(masks, seconds[method], certificate.worst_gap)


def _add_panel(
    report: LayerReport, panel: NDArray[Any], solved: _Panel, settings: Settings
) -> None:
    scores = np.abs(panel.astype(np.float64, order="C"))
    if settings.score is Score.SQUARE:
        np.square(scores, out=scores)
    report.score += float(scores.sum())
    for kind, mask in solved.masks.items():
        kept = float(scores.sum(where=mask))
        report.kept_scores[kind] = report.kept_scores.get(kind, 0.0) + kept
    report.seconds += solved.seconds
    if settings.method is Method.OPTIMAL:
        report.worst_gap = max(report.worst_gap or 0.0, solved.worst_gap)


def _unstructured_score(array: NDArray[Any], settings: Settings) -> float:
    """What the largest weights of the whole layer hold, as many as the pattern keeps."""
    pattern = settings.pattern
    dropped = array.size - round(array.size * pattern.n / pattern.m)
    wide = np.float64 if array.dtype.itemsize == 8 else np.float32
    magnitudes = array.astype(wide).reshape(-1)
    np.abs(magnitudes, out=magnitudes)
    if 0 < dropped < magnitudes.size:
        magnitudes.partition(dropped)
    kept = magnitudes[dropped:]
    if settings.score is Score.SQUARE:
        return float(np.einsum("i,i->", kept, kept, dtype=np.float64))
    return float(kept.sum(dtype=np.float64))


def _require_finite(name: str, panel: NDArray[Any], start: int, layout: Layout) -> None:
    finite = np.isfinite(panel)
    if finite.all():
        return
    first = tuple(int(position) for position in np.argwhere(~finite)[0])
    row = (*first[:-2], first[-2] + start, first[-1])
    index = ", ".join(map(str, tensor_index(row, layout)))
    raise CommandError(
        f"{name}[{index}] is {panel[first]}; expected finite weights: repair the tensor or leave "
        f"it out with --exclude"
    )
