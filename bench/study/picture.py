"""Two measures of every variant, grouped by pattern."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.study.runs import Result
from bench.study.tables import by_variant, deviation, values
from bench.study.variants import METHODS, SAMPLES, Variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(METHODS, ("#0b6e4f", "#3b5b92", "#b3662e"), strict=True))
TITLE = "How close a sentence encoder stays to its dense self when it is pruned"
TITLES = {
    "cosine": "Cosine to the dense embeddings",
    "same neighbour": "Nearest neighbours that stay",
}
LABELS = {
    "cosine": "cosine (logarithmic in 1 - cosine)",
    "same neighbour": "share of the sentences",
}
COSINES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99)
ROW = 0.25


def draw(results: Sequence[Result], path: Path) -> None:
    """Write the picture: means, and standard deviations over the seeds."""
    picture(results).savefig(path, dpi=150)


def picture(results: Sequence[Result]) -> Figure:
    """Draw both measures beside each other, a row for each variant."""
    from matplotlib.figure import Figure

    variants = by_variant(results)
    places = _places(list(variants))
    size = (10.6, 2.0 + ROW * (max(places.values()) + 1))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, measure in zip(axes, LABELS, strict=True):
        _panel(axis, variants, places, measure)
    _cosine_scale(axes[0], [float(values(found, "cosine").mean()) for found in variants.values()])
    axes[1].set_xlim(0, 1)
    _name(axes[0], places)
    axes[0].set_ylim(max(places.values()) + 0.8, -0.8)
    figure.suptitle(TITLE, x=0.01, ha="left", fontsize=12, fontweight="bold")
    _explain(figure, [variant.method for variant in variants])
    return figure


def _explain(figure: Figure, methods: Sequence[str]) -> None:
    """Say what colours and bars stand for."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], ls="", marker="o", ms=5, color=colour, label=f"{_spell(method)} masks")
        for method, colour in COLOURS.items()
        if method in methods
    ]
    bars = "mean over seeds, bar: standard deviation; further right is better"
    handles.append(Line2D([], [], ls="", label=bars))
    figure.legend(
        handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9
    )


def _spell(name: str) -> str:
    return name.replace("_", "-")


def _places(variants: Sequence[Variant]) -> dict[Variant, float]:
    """Where each variant is drawn, from top to bottom, with a gap between patterns."""
    places: dict[Variant, float] = {}
    at, pattern = -1.0, variants[0].pattern
    for variant in variants:
        at += 1.0 if variant.pattern == pattern else 1.6
        pattern = variant.pattern
        places[variant] = at
    return places


def _name(axis: Axes, places: dict[Variant, float]) -> None:
    """Name the variants, and the patterns in front of their first one."""
    told = len({variant.samples for variant in places}) > 1
    names = []
    previous = ""
    for variant, place in places.items():
        masks = "" if variant.method == METHODS[0] else f", {_spell(variant.method)} masks"
        samples = f", {variant.samples} samples" if told and variant.samples != SAMPLES else ""
        names.append(f"{variant.recipe.replace('_', ' ')}{masks}{samples}")
        if variant.pattern != previous:
            axis.annotate(
                variant.pattern, (0, place), xycoords=("axes fraction", "data"), xytext=(-205, 0),
                textcoords="offset points", va="center", fontsize=9.5, fontweight="bold",
            )  # fmt: skip
        previous = variant.pattern
    axis.set_yticks([*places.values()], names, fontsize=9)


def _panel(
    axis: Axes, variants: dict[Variant, list[Result]], places: dict[Variant, float], measure: str
) -> None:
    for variant, results in variants.items():
        found = values(results, measure)
        mean, colour = float(found.mean()), COLOURS[variant.method]
        axis.errorbar(
            mean, places[variant], xerr=deviation(found), fmt="o", color=colour, markersize=5,
            capsize=2.5, linewidth=1.2,
        )  # fmt: skip
        axis.annotate(
            f"{mean:.3f}", (1, places[variant]), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", fontsize=8.5, va="center", color=colour,
        )  # fmt: skip
    axis.set_title(TITLES[measure], loc="left", fontsize=10, fontweight="bold")
    axis.set_xlabel(LABELS[measure], fontsize=9)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="x", color="#e0e0e0", linewidth=0.8)
    axis.grid(axis="y", color="#f0f0f0", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(axis="x", labelsize=9)
    axis.tick_params(axis="y", length=0)


def _cosine_scale(axis: Axes, means: Sequence[float]) -> None:
    """The logarithm of 1 - cosine, falling to the right."""
    tiny = 1e-4

    def forward(x: np.ndarray) -> np.ndarray:
        return -np.log(np.maximum(1 - np.asarray(x), tiny))

    def inverse(y: np.ndarray) -> np.ndarray:
        return 1 - np.exp(-np.asarray(y))

    axis.set_xscale("function", functions=(forward, inverse))
    ends = forward(np.array([min(means), max(means)]))
    margin = max(0.06 * (ends[1] - ends[0]), 0.05)
    low, high = (float(end) for end in inverse(ends + np.array([-margin, margin])))
    axis.set_xlim(low, high)
    shown = [tick for tick in COSINES if low <= tick <= high]
    if len(shown) < 2:
        shown = [round(low + share * (high - low), 4) for share in (0.1, 0.9)]
    axis.set_xticks(shown, [f"{tick:g}" for tick in shown])
