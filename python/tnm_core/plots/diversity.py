"""A picture of mask diversity; needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

import math
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from tnm_core import counting
from tnm_core.plots.style import BLUE, GREY, INK, LINE, ORANGE, PURPLE, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DENSITIES = (2, 4)  # one kept of so many
_STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)


class DiversityPoint(NamedTuple):
    """Decimal logarithms of numbers of masks of one m x m tile, divided by its m * m weights."""

    n: int
    m: int
    transposable: float
    is_exact: bool
    rowwise: float
    closed_form: float


def diversity_points(kept_of: int, largest_m: int, max_seconds: float) -> list[DiversityPoint]:
    """Count the patterns n : n * kept_of; those predicted beyond ``max_seconds`` are estimated."""
    points = []
    for n in _STEPS:
        m = kept_of * n
        if m > largest_m:
            break
        try:
            value, exact = counting.log10_mask_diversity(n, m, max_seconds=max_seconds), True
        except counting.CountTooCostlyError:
            value, exact = counting.estimate(n, m).log10, False
        closed = counting.log10_of(counting.closed_form(n, m))
        weights = m * m
        rowwise = counting.log10_of(comb(m, n)) / m
        points.append(DiversityPoint(n, m, value / weights, exact, rowwise, closed / weights))
    return points


def plot_diversity(*, largest_m: int = 64, max_seconds: float = 5) -> Figure:
    """Draw log10 of the number of masks, per weight, against m, at two densities.

    Parameters
    ----------
    largest_m : int
        Up to which m.
    max_seconds : float
        What one exact count may be predicted to take; others are drawn by their estimate.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig("diversity.png")``.
    """
    figure = new_figure(10.2, 4.9)
    panels = figure.subplots(1, len(_DENSITIES))
    for axes, kept_of in zip(panels, _DENSITIES, strict=True):
        _draw(axes, diversity_points(kept_of, largest_m, max_seconds), kept_of)
    panels[0].set_ylabel("log10 of the number of masks, per weight", color=INK)
    figure.suptitle("Mask diversity: how many masks a constraint allows", x=0.01, ha="left",
                    weight="bold", color=INK)  # fmt: skip
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw(axes: Axes, points: list[DiversityPoint], kept_of: int) -> None:
    m = [point.m for point in points]
    share = 1 / kept_of
    limit = -(share * math.log10(share) + (1 - share) * math.log10(1 - share))
    axes.axhline(limit, color=GREY, ls=":", lw=1.4, label="unstructured, large tensor")
    axes.plot(m, [p.rowwise for p in points], color=ORANGE, marker="s", ms=4, label="row-wise")
    axes.plot(m, [p.closed_form for p in points], color=PURPLE, marker="v", ms=4, ls="--", lw=1,
              label="transposable, the closed form")  # fmt: skip
    axes.plot(m, [p.transposable for p in points], color=BLUE, lw=1.6)
    for exact, label in ((True, "exactly counted"), (False, "estimated")):
        part = [p for p in points if p.is_exact is exact]
        axes.plot([p.m for p in part], [p.transposable for p in part], "o", color=BLUE, ms=5.5,
                  mfc=BLUE if exact else "white", label=f"transposable, {label}")  # fmt: skip
    axes.set_xscale("log", base=2)
    ticks = [value for value in (2, 4, 8, 16, 32, 64, 128) if m[0] <= value <= m[-1]]
    axes.set_xticks(ticks, [f"{value // kept_of}:{value}" for value in ticks])
    axes.minorticks_off()
    axes.set_ylim(0, None)
    axes.set_title(f"{share:.0%} kept", loc="left", fontsize=10, weight="bold", color=INK)
    axes.set_xlabel("pattern n:m", color=INK)
    axes.grid(color=LINE, lw=0.7)
    axes.set_axisbelow(True)
    plain_axes(axes)
