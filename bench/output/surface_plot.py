"""The surface as a heat map: every form of weights beside its target, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.context import Record
from bench.output.style import Sections, save
from bench.sections.surface import worst_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A target, and what reaches a quarter of it, or four times as much, at the ends of the colours.
DOUBLINGS = 2.0
# Beyond this many doublings the colours are dark, and writing is white.
DARK = 1.1
PANELS, WIDTH, ROW_HEIGHT, REST = 2, 10.8, 0.172, 1.1
# Letters of names that fit beside a panel.
LETTERS = 44

# A group and a case; the case is empty where the group's title stands.
Line = tuple[str, str]


def draw(sections: Sections, output: Path) -> dict[str, str]:
    """Draw what was measured; file names with their titles."""
    from matplotlib import pyplot

    drawn: dict[str, str] = {}
    records = sections.get("surface", [])
    if not records:
        return drawn
    panels = _panels(_lines(records))
    longest = max(map(len, panels))
    size = (WIDTH, ROW_HEIGHT * longest + REST)
    figure, row = pyplot.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False)
    for axes, lines in zip(row[0], panels, strict=True):
        _heat_map(axes, records, lines, longest)
    _legend(figure, row[0])
    save(figure, output / "surface.png", drawn, "Every form of weights beside the headline")
    return drawn


def _lines(records: list[Record]) -> list[list[Line]]:
    """List the lines of each group: its title, then its cases, the worst first."""
    rows = worst_first(records)
    groups = dict.fromkeys(record["group"] for record in records)
    return [[(group, ""), *(row for row in rows if row[0] == group)] for group in groups]


def _panels(groups: list[list[Line]]) -> list[list[Line]]:
    """Share out groups evenly, in their order."""
    total, taken = sum(map(len, groups)), 0
    panels: list[list[Line]] = [[] for _ in range(PANELS)]
    for lines in groups:
        panels[min(PANELS - 1, (taken + len(lines) // 2) * PANELS // total)].extend(lines)
        taken += len(lines)
    return [panel for panel in panels if panel]


def _heat_map(axes: Axes, records: list[Record], lines: list[Line], height: int) -> None:
    columns = sorted({record["column"] for record in records})
    doublings = np.full((len(lines), len(columns)), np.nan)
    for record in records:
        line = record["group"], record["case"]
        if line not in lines:
            continue
        row, column = lines.index(line), columns.index(record["column"])
        share = record["share"]
        doublings[row, column] = 0.0 if share is None else np.log2(share)
        _write(axes, record, row, column, doublings[row, column])
    axes.imshow(doublings, cmap="RdBu", vmin=-DOUBLINGS, vmax=DOUBLINGS, aspect="auto")
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_yticks(range(len(lines)), [_name(line) for line in lines], fontsize=8)
    for label, (_, case) in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if case else "bold")
    axes.set_xticks(range(len(columns)), [f"m = {m}" for m in columns], fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write(axes: Axes, record: Record, row: int, column: int, doublings: float) -> None:
    """Write the ratio; the rate where that is the target."""
    shown = f"{record['best_rate']:.0f}" if record["target_is_rate"] else f"{record['ratio']:.2f}"
    color = "white" if abs(doublings) > DARK else "black"
    axes.text(column, row, shown, ha="center", va="center", color=color, fontsize=7.5)


def _name(line: Line) -> str:
    group, case = line
    name = case.replace("`", "") if case else group.upper()
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def _legend(figure: Figure, row: Sequence[Axes]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure.suptitle(
        "Rate beside that of normal float32 weights in C order at the same m "
        "(whole numbers: million entries/s)",
        x=0.01, ha="left", fontsize=11, fontweight="bold",
    )  # fmt: skip
    colors = ScalarMappable(Normalize(-DOUBLINGS, DOUBLINGS), "RdBu")
    bar = figure.colorbar(colors, ax=list(row), location="bottom", shrink=0.4, aspect=50, pad=0.01)
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["¼", "½", "target reached", "2x", "4x"], fontsize=8)
