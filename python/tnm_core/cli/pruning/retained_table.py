"""The table of what pruned tensors retain."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tnm_core.cli.pruning.layer_mask import Settings
from tnm_core.cli.pruning.pruned_tensor import RETAINED_KINDS, PrunedTensor
from tnm_core.cli.tables import Table, print_paragraph, shape_text

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
    table = Table(title, ("layer", *headers, "worst gap", "density", "shape", "seconds"))
    for tensor in tensors:
        table.add_row(*_cells(tensor, kinds))
    table.set_total(*_cells(PrunedTensor.total(tensors), kinds))
    table.print(console)
    print_paragraph(console, "* the mask that is applied", indent=2, style="dim")


def _cells(tensor: PrunedTensor, kinds: Sequence[str]) -> list[str]:
    shape = shape_text(tensor.shape) if tensor.shape else f"{tensor.entries:,}"
    gap = "-" if tensor.worst_gap is None else f"{tensor.worst_gap:.1e}"
    return [
        tensor.name,
        *(f"{tensor.retained(kind):.4f}" for kind in kinds),
        gap,
        f"{tensor.density:.4f}",
        shape,
        f"{tensor.seconds:.3f}",
    ]
