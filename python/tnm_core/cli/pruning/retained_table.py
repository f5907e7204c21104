"""The table of what pruned tensors retain."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tnm_core.cli.errors import printable
from tnm_core.cli.pruning.layer_mask import Settings
from tnm_core.cli.pruning.pruned_tensor import RETAINED_KINDS, PrunedTensor
from tnm_core.cli.tables import new_table, shape_text

_TITLES = {
    "optimal": "optimal",
    "rowwise": "row-wise",
    "unstructured": "unstructured",
    "two_approximation": "2-approx.",
    "greedy": "greedy",
}


def print_pruned(console: Console, settings: Settings, tensors: Sequence[PrunedTensor]) -> None:
    """Print retained scores, density, time and certificate of each tensor, and the total."""
    kinds = list(RETAINED_KINDS)
    if settings.kind not in kinds:
        kinds.insert(0, settings.kind)
    title = f"Retained {settings.score} score at {settings.pattern}, method {settings.kind}"
    headers = [_TITLES.get(kind, kind) + ("*" if kind == settings.kind else "") for kind in kinds]
    table = new_table(title, "layer", "shape", *headers, "density", "seconds", "worst gap")
    for tensor in tensors:
        table.add_row(*_cells(tensor, kinds))
    table.add_section()
    table.add_row(*_cells(PrunedTensor.total(tensors), kinds), style="bold")
    console.print(table)
    console.print(Text("  * the mask that is applied", style="dim"))


def _cells(tensor: PrunedTensor, kinds: Sequence[str]) -> list[Text | str]:
    shape = shape_text(tensor.shape) if tensor.shape else f"{tensor.entries:,}"
    gap = "-" if tensor.worst_gap is None else f"{tensor.worst_gap:.1e}"
    return [
        Text(printable(tensor.name)),
        shape,
        *(f"{tensor.retained(kind):.4f}" for kind in kinds),
        f"{tensor.density:.4f}",
        f"{tensor.seconds:.3f}",
        gap,
    ]
