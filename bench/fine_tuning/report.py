"""Tables of what calibration and fine-tuning leave, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from bench.output.kept import keep
from bench.study.runs import Result
from bench.study.tables import stamped, with_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue, orange and green of a palette that colour-blind people tell apart, and a grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#777777", "#cc79a7")


RESULTS, PAGE = "fine-tuning", "fine-tuning.md"


def update(results: Sequence[Result], docs: Path) -> None:
    """Replace the table of the page and its picture, and keep what they come from."""
    keep(list(results), docs, RESULTS)
    page = docs / PAGE
    page.write_text(with_table(page.read_text(), table_with_stamp(results), same=4))
    draw(results, docs / "images" / "fine-tuning.png")


def table_with_stamp(results: Sequence[Result]) -> str:
    """The table of some results, and below it how they were measured."""
    where = "; ".join(dict.fromkeys(map(_where, results)))
    return stamped(table(results), f"`python -m bench.fine_tuning` on\n{where}")


def _where(result: Result) -> str:
    threads = "one thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return f"{result['machine']}, {threads}, {result['software']}, {result['date']}"


def table(results: Sequence[Result]) -> str:
    """Cosine / same neighbour by kind of text, calibrated and fine-tuned."""
    kinds = list(results[0]["calibrated"])
    header = ["pattern", "trained on", "steps", "CPU minutes", "", *kinds]
    lines = [header, ["---"] * len(header)]
    for one in results:
        names = [one["pattern"], one["text"], str(one["steps"])]
        before, after = one["calibration seconds"], one["points"][-1]["seconds"]
        told = [one["calibrated"][kind] for kind in kinds]
        lines.append([*names, f"{before / 60:.1f}", "calibrated", *map(_cell, told)])
        told = [one["fine-tuned"][kind] for kind in kinds]
        minutes = f"{(before + after) / 60:.1f}"
        lines.append(["", "", "", minutes, "fine-tuned", *(f"**{_cell(cell)}**" for cell in told)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(measures: dict[str, float]) -> str:
    return f"{measures['cosine']:.3f} / {measures['same neighbour']:.3f}"


def draw(results: Sequence[Result], path: Path) -> None:
    """Write the curves."""
    picture(results).savefig(path, dpi=120)


def picture(results: Sequence[Result]) -> Figure:
    """Distance to the dense embeddings against CPU time, a panel for each kind of text."""
    from matplotlib.figure import Figure

    kinds = list(results[0]["calibrated"])
    figure = Figure(figsize=(3.6 * len(kinds), 3.9), layout="constrained")
    axes = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        for one, colour in zip(results, cycle(COLOURS), strict=False):
            _curve(axis, one, kind, colour)
        axis.set(title=kind, xlabel="CPU minutes, calibration included", yscale="log")
        axis.grid(which="both", color="#e8e8e8", linewidth=0.7)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("1 - cosine to the dense embeddings")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _curve(axis: Axes, one: Result, kind: str, colour: str) -> None:
    begin = one["calibration seconds"]
    minutes = [(begin + point["seconds"]) / 60 for point in one["points"]]
    far = [1 - point["cosine"][kind] for point in one["points"]]
    minutes, far = [begin / 60, *minutes], [1 - one["calibrated few"][kind], *far]
    label = f"{one['pattern']}, {one['text']}, {one['steps']} steps"
    axis.plot(minutes, far, marker="o", markersize=3.5, color=colour, label=label)
