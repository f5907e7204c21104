"""Pictures of retained scores; needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tnm_core.pattern import as_pattern
from tnm_core.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PURPLE,
    new_figure,
    plain_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_NAMES = 90  # more layers than this, and their names would overlap
_LEAST_WIDTH, _LEGEND_WIDTH = 6.0, 2.3  # inches, of the picture and of an entry of the legend
_LABEL_WIDTH = 0.085  # of a total, as a share of the axis

# Kind in a report -> label, colour, marker.
_KINDS = {
    "optimal": ("transposable, optimal", BLUE, "o"),
    "two_approximation": ("transposable, 2-approximation", PURPLE, "v"),
    "greedy": ("transposable, greedy", GREEN, "^"),
    "rowwise": ("row-wise", ORANGE, "s"),
    "unstructured": ("unstructured", GREY, "D"),
}


def plot_retained(reports: Sequence[Mapping[str, Any]], *, title: str | None = None) -> Figure:
    """Draw what each layer retains of its score, one panel per report.

    Axes go from 0 to 1, all of the score. A dotted line is drawn where masks of the pattern that
    are drawn at random end up.

    Parameters
    ----------
    reports : sequence of mapping
        Reports as ``tnm prune --json`` prints them.
    title : str, optional
        Stands above the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``figure.savefig("retained.png")``.
    """
    if not reports:
        raise ValueError("no reports were given; expected at least one")
    names = list(dict.fromkeys(layer["name"] for report in reports for layer in report["layers"]))
    height = 1.9 + 0.21 * min(len(names) + 1, _MAX_NAMES)
    label_width = 0.4 + 0.075 * max(map(len, _short_names(names)), default=0)
    width = max(_LEAST_WIDTH, min(label_width, 3.2) + 4.6 * len(reports))
    figure = new_figure(width, height)
    panels = figure.subplots(1, len(reports), sharey=True, sharex=True, squeeze=False)[0]
    for axes, report in zip(panels, reports, strict=True):
        _draw_report(axes, report, names)
    _label_layers(panels[0], names)
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.suptitle(title or "Retained score by layer", x=0.01, ha="left", weight="bold", color=INK)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=max(2, min(len(handles), int(width / _LEGEND_WIDTH))),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
    return figure


def _draw_report(axes: Axes, report: Mapping[str, Any], names: Sequence[str]) -> None:
    """Draw one panel: a row for each layer and one for the total, a marker for each kind."""
    layers = {layer["name"]: layer["retained"] for layer in report["layers"]}
    kinds = [kind for kind in _KINDS if kind in report["total"]["retained"]]
    places = {name: place for place, name in enumerate(names)}
    lines = [(places[name], retained) for name, retained in layers.items()]
    lines.append((len(names), report["total"]["retained"]))
    for position, retained in lines:
        spread = [retained[kind] for kind in kinds]
        axes.plot([min(spread), max(spread)], [position] * 2, color=LINE, lw=2, zorder=1)
    for kind in kinds:
        label, colour, marker = _KINDS[kind]
        axes.scatter(
            [retained[kind] for _, retained in lines],
            [position for position, _ in lines],
            s=[22] * len(layers) + [52],
            color=colour,
            marker=marker,
            label=label,
            zorder=2,
            linewidths=0,
        )
    totals = {kind: report["total"]["retained"][kind] for kind in kinds}
    for kind, place in _spread(totals).items():
        axes.annotate(
            f"{totals[kind]:.3f}",
            (place, len(names) + 0.45),
            ha="center",
            va="top",
            fontsize=8,
            color=_KINDS[kind][1],
        )
    pattern = as_pattern(report["pattern"])
    axes.axvline(pattern.n / pattern.m, color=MUTED, lw=1, ls=":", zorder=1, label="random masks")
    axes.set_xlim(0, 1)
    axes.axhline(len(names) - 0.5, color=MUTED, lw=0.8)
    axes.set_title(report["pattern"], loc="left", fontsize=10, weight="bold", color=INK)
    axes.set_xlabel(f"retained {report.get('score', 'abs')} score", color=INK)
    axes.grid(axis="x", color=LINE, lw=0.7)
    axes.set_axisbelow(True)
    plain_axes(axes)


def _label_layers(axes: Axes, names: Sequence[str]) -> None:
    """Write names without what all of them share; only some if there are too many."""
    step = -(-len(names) // _MAX_NAMES)
    positions = list(range(0, len(names), step))
    short = _short_names(names)
    axes.set_yticks([*positions, len(names)], [*(short[place] for place in positions), "total"])
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.set_ylim(len(names) + 1.5, -0.6)


def _short_names(names: Sequence[str]) -> list[str]:
    """Drop the leading and trailing parts, between dots, that all names share."""
    parts = [name.split(".") for name in names]
    if len(parts) < 2:
        return list(names)
    head = _common(parts)
    tail = _common([part[head:][::-1] for part in parts])
    return [
        ".".join(part[head : len(part) - tail]) or name
        for part, name in zip(parts, names, strict=True)
    ]


def _common(parts: Sequence[Sequence[str]]) -> int:
    """Count the leading elements that all sequences share."""
    same = [len(set(column)) == 1 for column in zip(*parts, strict=False)]
    return same.index(False) if False in same else len(same)


def _spread(totals: Mapping[str, float]) -> dict[str, float]:
    """Find places for labels: at their values, but so far apart that each can be read."""
    order = sorted(totals, key=lambda kind: totals[kind])
    places: list[list[float]] = []  # runs of labels that touch, by the values that they label
    for kind in order:
        run = [totals[kind]]
        while places and _left_end(run) < _right_end(places[-1]):
            run = places.pop() + run
        places.append(run)
    spread = [
        _left_end(run) + (number + 0.5) * _LABEL_WIDTH
        for run in places
        for number in range(len(run))
    ]
    return dict(zip(order, spread, strict=True))


def _left_end(run: Sequence[float]) -> float:
    """Where a run of labels begins whose middle is that of its values, inside the axis."""
    width = len(run) * _LABEL_WIDTH
    return min(max(sum(run) / len(run) - width / 2, 0.0), 1.0 - width)


def _right_end(run: Sequence[float]) -> float:
    return _left_end(run) + len(run) * _LABEL_WIDTH
