"""Tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tnm_core.cli.errors import printable
from tnm_core.cli.pruning import RETAINED_KINDS, LayerReport, Settings

_TITLES = {
    "optimal": "optimal",
    "rowwise": "row-wise",
    "unstructured": "unstructured",
    "two_approximation": "2-approx.",
    "greedy": "greedy",
}
_NAMES_SHOWN = 3


def new_table(title: str, *columns: str, left: int = 1) -> Table:
    """A table whose first ``left`` columns are text, the others figures."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for position, column in enumerate(columns):
        is_text = position < left
        table.add_column(
            column,
            justify="left" if is_text else "right",
            overflow="fold",
            no_wrap=not is_text,
        )
    return table


def print_layers(
    console: Console, settings: Settings, layers: Sequence[LayerReport], total: LayerReport
) -> None:
    """Print retained scores, density, time and certificate by layer, and the total."""
    kinds = list(RETAINED_KINDS)
    method = settings.method.value
    if method not in kinds:
        kinds.insert(0, method)
    title = f"Retained {settings.score.value} score at {settings.pattern}, method {method}"
    headers = [_TITLES[kind] + ("*" if kind == method else "") for kind in kinds]
    table = new_table(title, "layer", "shape", *headers, "density", "seconds", "worst gap")
    for layer in layers:
        table.add_row(*_cells(layer, kinds))
    table.add_section()
    table.add_row(*_cells(total, kinds), style="bold")
    console.print(table)
    console.print(Text("  * the mask that is applied", style="dim"))


def print_skipped(console: Console, reasons: Mapping[str, Sequence[str]]) -> None:
    """Print how many tensors or layers were left alone, by reason, with a few names."""
    for reason, names in reasons.items():
        shown = ", ".join(printable(name) for name in names[:_NAMES_SHOWN])
        more = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        console.print(
            Text(f"  {len(names)} left alone: {reason}: {shown}{more}", style="dim"), soft_wrap=True
        )


def shape_text(shape: Sequence[int]) -> str:
    """A shape like 384 x 1536."""
    return " x ".join(map(str, shape))


def _cells(layer: LayerReport, kinds: Sequence[str]) -> list[Text | str]:
    shape = shape_text(layer.shape) if layer.shape else f"{layer.entries:,}"
    gap = "-" if layer.worst_gap is None else f"{layer.worst_gap:.1e}"
    return [
        Text(printable(layer.name)),
        shape,
        *(f"{layer.retained(kind):.4f}" for kind in kinds),
        f"{layer.density:.4f}",
        f"{layer.seconds:.3f}",
        gap,
    ]
