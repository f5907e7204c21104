"""Two pictures of products: speed-up against density, and against the number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING

from bench.context import Record
from bench.output.style import (
    ACCENT,
    APPROXIMATE,
    EXACT,
    LIMIT,
    SECOND,
    SIZE,
    Sections,
    save,
    spread,
    style,
)
from bench.products.comparisons import Comparisons

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAMILIES = {"transposable": ACCENT, "row-wise": EXACT, "unstructured": APPROXIMATE}
# Between patterns of one density, on a logarithmic axis.
APART = 1.055
Speedups = dict[str, list[float]]


def draw(sections: Sections, output: Path) -> dict[str, str]:
    """Draw what was measured; file names with their titles."""
    from matplotlib import pyplot

    drawn: dict[str, str] = {}
    found = Comparisons(sections.get("products", []))
    layers = [r for r in found.ours("layers") if found.best_dense(r)]
    if layers:
        figure, axes = pyplot.subplots(figsize=SIZE, layout="constrained")
        _against_density(axes, layers, found)
        save(figure, output / "products_density.png", drawn, "Speed-up against density")
    tokens = [r for r in found.ours("tokens") if found.best_dense(r)]
    names = list(dict.fromkeys(r["layer"] for r in tokens))
    if tokens:
        figure, panels = pyplot.subplots(
            1, len(names), figsize=SIZE, layout="constrained", sharey=True, squeeze=False
        )
        for axes, name in zip(panels[0], names, strict=True):
            _against_tokens(axes, [r for r in tokens if r["layer"] == name], found)
        panels[0][0].set_ylabel("times as fast as the best dense product (log scale)")
        save(figure, output / "products_tokens.png", drawn, "Speed-up against tokens")
    return drawn


def _family(pattern: str) -> str:
    if pattern.endswith("%"):
        return "unstructured"
    return "row-wise" if pattern.startswith("row") else "transposable"


def _label(pattern: str) -> str:
    return f"{pattern} zeros" if pattern.endswith("%") else pattern.removeprefix("row ")


def _against_density(axes: Axes, records: list[Record], found: Comparisons) -> None:
    first = records[0]
    style(axes, f"Products of {first['tokens']} tokens, {first['dtype']}, one thread")
    densities = {r["pattern"]: r["density"] for r in records}
    speedups = {pattern: _speedups(records, pattern, found) for pattern in densities}
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    places = _places(densities)
    for pattern, values in speedups.items():
        _draw_pattern(axes, pattern, places[pattern], values)
    _draw_limits(axes, sorted(densities.values()))
    highest = max(1 / min(densities.values()), max(map(max, speedups.values())))
    lowest = min(map(min, speedups.values()))
    # The names stand below.
    _ticks(axes, min(0.9, lowest / 1.45), highest)
    shown = sorted({round(density, 3) for density in densities.values()})
    axes.set_xticks(shown, [f"{100 * density:g} %" for density in shown])
    axes.minorticks_off()
    axes.set_xlabel("share of the weights that is kept (log scale)")
    axes.set_ylabel("times as fast as the best dense product (log scale)")
    _legend(axes, {_family(pattern) for pattern in densities})


def _speedups(records: list[Record], pattern: str, found: Comparisons) -> list[float]:
    times = (found.times_best(r) for r in records if r["pattern"] == pattern)
    return [ratio for ratio in times if ratio is not None]


def _places(densities: dict[str, float]) -> dict[str, float]:
    """Set patterns of one density side by side."""
    places: dict[str, float] = {}
    for density in {round(value, 3) for value in densities.values()}:
        alike = [name for name, value in densities.items() if round(value, 3) == density]
        for index, name in enumerate(alike):
            places[name] = density * APART ** (index - (len(alike) - 1) / 2)
    return places


def _draw_pattern(axes: Axes, pattern: str, place: float, values: Sequence[float]) -> None:
    """Draw the mean over layers, the range of layers as a bar, and the name below it."""
    colour, mean = FAMILIES[_family(pattern)], geometric_mean(values)
    axes.vlines(place, min(values), max(values), color=colour, linewidth=1.3)
    axes.plot(place, mean, marker="o", markersize=6, color=colour, linestyle="")
    axes.annotate(
        _label(pattern),
        (place, min(values)),
        xytext=(0, -7),
        textcoords="offset points",
        fontsize=8.5,
        color=colour,
        rotation=90,
        ha="center",
        va="top",
    )


def _draw_limits(axes: Axes, densities: list[float]) -> None:
    ends = [densities[0] / 1.1, densities[-1] * 1.25]
    axes.plot(ends, [1 / end for end in ends], color=LIMIT, linewidth=1, linestyle=(0, (4, 3)))
    axes.axhline(1, color=LIMIT, linewidth=1)
    middle = (ends[0] * ends[1]) ** 0.5
    _note(axes, "multiplications saved", (middle, 1 / middle), (8, 4), "left")
    _note(axes, "the best dense product", (ends[0], 1), (0, -11), "left")


def _note(
    axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float], align: str
) -> None:
    axes.annotate(
        text,
        point,
        xytext=offset,
        textcoords="offset points",
        color="#666666",
        fontsize=8,
        ha=align,
    )


def _legend(axes: Axes, families: set[str]) -> None:
    for name, colour in FAMILIES.items():
        if name in families:
            axes.plot([], [], marker="o", linestyle="", color=colour, label=name)
    axes.legend(frameon=False, fontsize=8.5, title="mean and range over layers", title_fontsize=8.5)


def _against_tokens(axes: Axes, records: list[Record], found: Comparisons) -> None:
    rows, columns = records[0]["shape"]
    style(axes, f"{records[0]['layer']}, {rows} x {columns}, {records[0]['dtype']}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    tokens = sorted({r["tokens"] for r in records})
    colours = (ACCENT, SECOND, APPROXIMATE)
    ends: list[tuple[str, float, str]] = []
    for index, pattern in enumerate(dict.fromkeys(r["pattern"] for r in records)):
        line = [r for r in records if r["pattern"] == pattern]
        values = [found.times_best(r) or 1.0 for r in line]
        colour = colours[index % len(colours)]
        axes.plot(
            [r["tokens"] for r in line], values, marker="o", markersize=5, linewidth=2, color=colour
        )
        ends.append((pattern, values[-1], colour))
    axes.axhline(1, color=LIMIT, linewidth=1)
    axes.set_xticks(tokens, [str(count) for count in tokens])
    _ticks(axes, *axes.get_ylim())
    axes.minorticks_off()
    span = tokens[-1] / tokens[0]
    axes.set_xlim(tokens[0] / 1.3, tokens[-1] * span**0.22)
    axes.set_xlabel("tokens (log scale)")
    _name_ends(axes, tokens[-1] * span**0.025, ends)


def _name_ends(axes: Axes, x: float, ends: list[tuple[str, float, str]]) -> None:
    low, high = axes.get_ylim()
    places = spread([value for _, value, _ in ends], (high / low) ** 0.04)
    for (name, _, colour), place in zip(ends, places, strict=True):
        axes.text(x, place, _label(name), color=colour, fontsize=8.5, va="center")


def _ticks(axes: Axes, low: float, high: float) -> None:
    axes.set_ylim(low / 1.1, high * 1.2)
    ticks = [
        t for t in (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16) if low / 1.1 <= t <= high * 1.2
    ]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
