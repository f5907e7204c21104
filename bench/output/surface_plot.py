"""The surface as a heat map: every form of weights beside the headline of its m."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.context import Record
from bench.output.style import Sections, save
from bench.sections.surface import worst_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Ratios at the ends of the colours, and below which writing is white.
SLOWEST, FASTEST, DARK = 0.03, 1.0, 0.15
ROW_HEIGHT, WIDTH, REST = 0.24, 8.6, 1.2


def draw(sections: Sections, output: Path) -> dict[str, str]:
    """Draw what was measured; file names with their titles."""
    from matplotlib import pyplot

    drawn: dict[str, str] = {}
    records = sections.get("surface", [])
    if records:
        rows = worst_first(records)
        size = (WIDTH, ROW_HEIGHT * len(rows) + REST)
        figure, axes = pyplot.subplots(figsize=size, layout="constrained")
        _heat_map(axes, records, rows)
        save(figure, output / "surface.png", drawn, "Every form of weights beside the headline")
    return drawn


def _heat_map(axes: Axes, records: list[Record], rows: list[tuple[str, str]]) -> None:
    from matplotlib.colors import LogNorm

    sizes = sorted({r["m"] for r in records})
    ratios = np.full((len(rows), len(sizes)), np.nan)
    for record in records:
        place = rows.index((record["group"], record["case"])), sizes.index(record["m"])
        ratios[place] = record["ratio"]
    image = axes.imshow(ratios, cmap="viridis", norm=LogNorm(SLOWEST, FASTEST), aspect="auto")
    for (row, column), ratio in np.ndenumerate(ratios):
        if np.isfinite(ratio):
            color = "white" if ratio < DARK else "black"
            axes.text(
                column, row, f"{ratio:.2f}", ha="center", va="center", color=color, fontsize=7
            )
    names = [f"{case.replace('`', '')}  ({group})" for group, case in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set_xticks(range(len(sizes)), [f"m = {m}" for m in sizes])
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.set_title(
        "Rate beside that of normal float32 weights in C order, same m: 1 is as fast",
        loc="left", fontsize=10, fontweight="bold",
    )  # fmt: skip
    axes.figure.colorbar(image, ax=axes, shrink=0.3, label="ratio (log scale)", extend="both")
