"""Two pictures: throughput against m, and what is lost against the time it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.context import Record, note
from bench.sections.peers import OURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT, SECOND = "#0b6e4f", "#54a487"
EXACT, APPROXIMATE, LIMIT = "#3b5b92", "#b3662e", "#888888"
LOSS_M = 16
ENTRIES = 8192 * 8192

Sections = dict[str, list[Record]]


def draw_all(sections: Sections, output: Path) -> dict[str, str]:
    """Draw what was measured; file names with their titles."""
    try:
        import matplotlib as mpl
    except ImportError:
        note("plots skipped: matplotlib is not installed")
        return {}
    mpl.use("Agg")
    from matplotlib import pyplot

    drawn: dict[str, str] = {}
    if sections.get("headline") and sections.get("peers"):
        figure, axes = pyplot.subplots(figsize=(8.6, 5.4), layout="constrained")
        _throughput(axes, sections)
        _save(figure, output / "throughput.png", drawn, "Throughput against m")
    if sections.get("peers") and sections.get("approximations"):
        figure, axes = pyplot.subplots(figsize=(8.6, 5.4), layout="constrained")
        _loss_against_time(axes, [*sections["peers"], *sections["approximations"]])
        _save(figure, output / "loss_against_time.png", drawn, "Loss against time")
    return drawn


def _save(figure: Figure, path: Path, drawn: dict[str, str], title: str) -> None:
    from matplotlib import pyplot

    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    drawn[path.name] = title


def _style(axes: Axes, title: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")


def _throughput(axes: Axes, sections: Sections) -> None:
    _style(axes, "Exact transposable masks, n = m / 2, normal float32 weights")
    for record in sections.get("ceilings", []):
        if record["pass"].startswith(("read", "copy")):
            axes.axhline(record["rate"], color=LIMIT, linewidth=1, linestyle=(0, (4, 3)))
    headline = sections["headline"]
    lines = [
        ("tnm_core, 2 threads", [r for r in headline if r["call"] == "2 threads"], SECOND),
        ("tnm_core, 1 thread", [r for r in headline if r["call"] == "1 thread"], ACCENT),
    ]
    names = dict.fromkeys(r["peer"] for r in sections["peers"] if r["peer"] != OURS)
    lines += [(n, [r for r in sections["peers"] if r["peer"] == n], EXACT) for n in names]
    others = ("entropic transport, T = 300", "tnm_core greedy, completed")
    approximate = sections.get("approximations", [])
    lines += [(n, [r for r in approximate if r["peer"] == n], APPROXIMATE) for n in others]
    _draw_lines(axes, [line for line in lines if line[1]])
    _label_limits(axes, sections.get("ceilings", []))
    axes.set_ylabel("million entries a second (log scale)")
    axes.set_xlabel("m, the side of a tile")


def _draw_lines(axes: Axes, lines: Sequence[tuple[str, list[Record], str]]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = [record["m"] for record in lines[0][1]]
    axes.set_xticks(ticks, [str(m) for m in ticks])
    axes.set_xlim(ticks[0] / 1.1, ticks[-1] * 6.5)
    for name, records, colour in lines:
        ours = name in ("tnm_core, 1 thread", "tnm_core, 2 threads")
        axes.plot(
            [r["m"] for r in records],
            [r["rate"] for r in records],
            color=colour,
            marker="o",
            markersize=5 if ours else 3.5,
            linewidth=2.4 if ours else 1.3,
            linestyle="-" if colour != APPROXIMATE else (0, (1, 1)),
        )
    ends = [(name, records[-1]["rate"], colour) for name, records, colour in lines]
    _label_ends(axes, ticks[-1] * 1.12, ends)


def _label_ends(axes: Axes, x: float, ends: list[tuple[str, float, str]]) -> None:
    """Name each line at its right end, moved apart so that names do not touch."""
    low, high = axes.get_ylim()
    apart = (high / low) ** 0.045
    previous = 0.0
    for name, rate, colour in sorted(ends, key=lambda end: end[1]):
        y = max(rate, previous * apart)
        previous = y
        suffix = " (approximate)" if colour == APPROXIMATE else ""
        axes.text(x, y, name + suffix, color=colour, fontsize=8.5, va="center")


def _label_limits(axes: Axes, limits: list[Record]) -> None:
    for record in limits:
        if record["pass"].startswith(("read", "copy")):
            axes.text(
                axes.get_xlim()[1],
                record["rate"] * 1.03,
                f"limit: {record['pass']}",
                color="#666666",
                fontsize=7.5,
                ha="right",
                va="bottom",
            )


def _loss_against_time(axes: Axes, records: list[Record]) -> None:
    chosen = {r["peer"]: r for r in records if r["m"] == LOSS_M}
    _style(axes, f"What an 8192 x 8192 matrix costs at {LOSS_M // 2}:{LOSS_M}, one thread")
    losses = [r["loss"] for r in chosen.values() if r["loss"] > 0]
    floor = min(losses) / 6
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axhspan(floor / 2.2, floor * 2.2, color="#eef4f1")
    for name, record in chosen.items():
        y = max(record["loss"], floor)
        colour = ACCENT if name == OURS else EXACT if record["exact"] else APPROXIMATE
        filled = record["exact"] or record["fills"]
        axes.plot(
            ENTRIES / record["rate"] / 1e6,
            y,
            marker="*" if name == OURS else "o",
            markersize=16 if name == OURS else 7,
            color=colour,
            markerfacecolor=colour if filled else "white",
            linestyle="",
        )
    _join_entropic(axes, chosen)
    _name_points(axes, chosen, floor)
    axes.set_ylim(floor / 2.2, max(losses) * 2)
    axes.set_xlabel("seconds (log scale)")
    axes.set_ylabel("relative loss of score (log scale)")
    _tick_losses(axes, floor)


def _tick_losses(axes: Axes, floor: float) -> None:
    ticks = [t for t in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1) if t > floor * 2.2]
    axes.set_yticks([floor, *ticks], ["0 (exact)", *(f"{100 * t:g} %" for t in ticks)])
    axes.minorticks_off()


def _join_entropic(axes: Axes, chosen: dict[str, Record]) -> None:
    path = [r for name, r in chosen.items() if name.startswith("entropic")]
    seconds = [ENTRIES / r["rate"] / 1e6 for r in path]
    axes.plot(seconds, [r["loss"] for r in path], color=APPROXIMATE, linewidth=1, zorder=1)


def _name_points(axes: Axes, chosen: dict[str, Record], floor: float) -> None:
    for name, record in chosen.items():
        exact = record["loss"] == 0
        text = name + ("" if record["exact"] or record["fills"] else " (keeps fewer)")
        axes.annotate(
            text,
            (ENTRIES / record["rate"] / 1e6, max(record["loss"], floor)),
            xytext=(0, 12) if exact else (8, 0),
            textcoords="offset points",
            fontsize=8,
            rotation=35 if exact else 0,
            va="bottom" if exact else "center",
            color=ACCENT if name == OURS else "#333333",
        )
