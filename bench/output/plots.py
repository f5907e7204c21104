"""Two pictures of masks: throughput against m, and what is lost against the time it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
from bench.sections.peers.runs import OURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS_M = 16
ENTRIES = 8192 * 8192

SHOWN_RATES = ("entropic transport, T = 300", "tnm_core greedy, completed")
# Peers with their labels. Both approximate methods give the same mask once they are completed.
SHOWN_LOSSES = {
    OURS: "tnm_core",
    "LEMON network simplex": "LEMON",
    "OR-tools SimpleMinCostFlow": "OR-tools",
    "HiGHS linear program": "HiGHS",
    "networkx network simplex": "networkx",
    "entropic transport, T = 10": "entropic transport, T = 10",
    "entropic transport, T = 30": "T = 30",
    "entropic transport, T = 100": "T = 100",
    "entropic transport, T = 300": "T = 300",
    "2-approximation, NumPy": "2-approximation, NumPy",
    "tnm_core greedy": "greedy",
    "tnm_core greedy, completed": "greedy, completed",
}


def draw(sections: Sections, output: Path) -> dict[str, str]:
    """Draw what was measured; file names with their titles."""
    from matplotlib import pyplot

    drawn: dict[str, str] = {}
    if sections.get("headline") and sections.get("peers"):
        figure, axes = pyplot.subplots(figsize=SIZE, layout="constrained")
        _throughput(axes, sections)
        save(figure, output / "throughput.png", drawn, "Throughput against m")
    if sections.get("peers") and sections.get("approximations"):
        figure, axes = pyplot.subplots(figsize=SIZE, layout="constrained")
        _loss_against_time(axes, [*sections["peers"], *sections["approximations"]])
        save(figure, output / "loss_against_time.png", drawn, "Loss against time")
    return drawn


def _throughput(axes: Axes, sections: Sections) -> None:
    style(axes, "Transposable masks, n = m / 2, normal float32 weights")
    headline = sections["headline"]
    lines = [
        ("tnm_core, 2 threads", [r for r in headline if r["call"] == "2 threads"], SECOND),
        ("tnm_core, 1 thread", [r for r in headline if r["call"] == "1 thread"], ACCENT),
    ]
    names = dict.fromkeys(r["peer"] for r in sections["peers"] if r["peer"] != OURS)
    lines += [(n, [r for r in sections["peers"] if r["peer"] == n], EXACT) for n in names]
    approximate = sections.get("approximations", [])
    lines += [(n, [r for r in approximate if r["peer"] == n], APPROXIMATE) for n in SHOWN_RATES]
    _draw_lines(axes, [line for line in lines if line[1]])
    _draw_limits(axes, sections.get("ceilings", []))
    axes.set_ylabel("million entries per second (log scale)")
    axes.set_xlabel("m, the side of a tile")


def _draw_lines(axes: Axes, lines: Sequence[tuple[str, list[Record], str]]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = [record["m"] for record in lines[0][1]]
    axes.set_xticks(ticks, [str(m) for m in ticks])
    axes.set_xlim(ticks[0] / 1.1, ticks[-1] * 6.5)
    for name, records, colour in lines:
        ours = colour in (ACCENT, SECOND)
        axes.plot(
            [r["m"] for r in records],
            [r["rate"] for r in records],
            color=colour,
            marker="o",
            markersize=5 if ours else 3.5,
            linewidth=2.4 if ours else 1.3,
            linestyle=(0, (1, 1)) if colour == APPROXIMATE else "-",
            label=name,
        )
    ends = [(name, records[-1]["rate"], colour) for name, records, colour in lines]
    _label_ends(axes, ticks[-1] * 1.12, ends)


def _label_ends(axes: Axes, x: float, ends: list[tuple[str, float, str]]) -> None:
    """Name each line at its right end, moved apart so that names do not touch."""
    low, high = axes.get_ylim()
    places = spread([rate for _, rate, _ in ends], (high / low) ** 0.045)
    for (name, _, colour), place in zip(ends, places, strict=True):
        suffix = " (approximate)" if colour == APPROXIMATE else ""
        axes.text(x, place, name + suffix, color=colour, fontsize=8.5, va="center")


def _draw_limits(axes: Axes, passes: list[Record]) -> None:
    """Draw what one thread can read, and what it can read while it writes a mask."""
    limits = sorted((r for r in passes if r["pass"].startswith("read")), key=lambda r: r["rate"])
    for record, above in zip(limits, (False, True), strict=False):
        axes.axhline(record["rate"], color=LIMIT, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"limit, 1 thread: {record['pass']}",
            (axes.get_xlim()[1], record["rate"]),
            xytext=(0, 3 if above else -4),
            textcoords="offset points",
            color="#666666",
            fontsize=8,
            ha="right",
            va="bottom" if above else "top",
        )
    axes.set_ylim(top=axes.get_ylim()[1] * 1.5)


def _loss_against_time(axes: Axes, records: list[Record]) -> None:
    points = {r["peer"]: r for r in records if r["m"] == LOSS_M}
    chosen = {name: points[name] for name in SHOWN_LOSSES if name in points}
    style(axes, f"What an 8192 x 8192 matrix costs at {LOSS_M // 2}:{LOSS_M}, one thread")
    losses = [r["loss"] for r in chosen.values() if r["loss"] > 0]
    floor = min(losses) / 8
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axhspan(floor / 3, floor * 3, color="#eef4f1")
    _join_entropic(axes, chosen)
    exact = sorted((r for r in chosen.values() if r["exact"]), key=lambda r: -r["rate"])
    for index, record in enumerate(exact):
        _point(axes, record, floor, (0, 13 if index % 2 == 0 else -14), "center")
    for record in chosen.values():
        if not record["exact"]:
            entropic = record["peer"].startswith("entropic")
            offset, align = ((8, 0), "left") if entropic else ((-8, 0), "right")
            _point(axes, record, record["loss"], offset, align)
    axes.set_ylim(floor / 3, max(losses) * 2)
    axes.margins(x=0.1)
    axes.set_xlabel("seconds (log scale)")
    axes.set_ylabel("relative loss of score (log scale)")
    _tick(axes, floor)


def _point(axes: Axes, record: Record, y: float, offset: tuple[float, float], align: str) -> None:
    name, seconds = record["peer"], _seconds(record)
    colour = ACCENT if name == OURS else EXACT if record["exact"] else APPROXIMATE
    axes.plot(
        seconds,
        y,
        marker="*" if name == OURS else "o",
        markersize=16 if name == OURS else 7,
        color=colour,
        markerfacecolor=colour if record["fills"] else "white",
        linestyle="",
    )
    axes.annotate(
        f"{SHOWN_LOSSES[name]}{'' if record['fills'] else ' (keeps at most n)'}",
        (seconds, y),
        xytext=offset,
        textcoords="offset points",
        fontsize=8.5,
        ha=align,
        va="center",
        color=colour,
    )


def _tick(axes: Axes, floor: float) -> None:
    losses = [loss for loss in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1) if loss > floor * 3]
    axes.set_yticks([floor, *losses], ["0 (exact)", *(f"{100 * loss:g} %" for loss in losses)])
    low, high = axes.get_xlim()
    seconds = [t for t in (0.01, 0.1, 1, 10, 100, 1000, 10000) if low <= t <= high]
    axes.set_xticks(seconds, [f"{t:g}" for t in seconds])
    axes.minorticks_off()


def _join_entropic(axes: Axes, chosen: dict[str, Record]) -> None:
    path = [r for name, r in chosen.items() if name.startswith("entropic")]
    losses = [r["loss"] for r in path]
    axes.plot([_seconds(r) for r in path], losses, color=APPROXIMATE, linewidth=1, zorder=1)


def _seconds(record: Record) -> float:
    return ENTRIES / float(record["rate"]) / 1e6
