"""What all pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.context import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT, SECOND = "#0b6e4f", "#54a487"
EXACT, APPROXIMATE, LIMIT = "#3b5b92", "#b3662e", "#888888"
SIZE = (8.6, 5.4)

Sections = dict[str, list[Record]]


def style(axes: Axes, title: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")


def spread(values: Sequence[float], apart: float) -> list[float]:
    """Move values upwards, on a logarithmic axis, until each is so many times the one below."""
    moved = [0.0] * len(values)
    previous = 0.0
    for index in sorted(range(len(values)), key=lambda i: values[i]):
        previous = max(values[index], previous * apart)
        moved[index] = previous
    return moved


def save(figure: Figure, path: Path, drawn: dict[str, str], title: str) -> None:
    from matplotlib import pyplot
    from PIL import Image

    figure.savefig(path, dpi=150)
    # Pictures of few colours need a fifth of the bytes with a palette.
    with Image.open(path) as picture:
        few_colours = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few_colours.save(path, optimize=True)
    pyplot.close(figure)
    drawn[path.name] = title
