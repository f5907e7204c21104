"""``tnm inspect``: what is in a checkpoint, and which patterns hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import tnm_core as tnm
from tnm_core.checkpoint import PruneRecord, TensorInfo
from tnm_core.cli import options
from tnm_core.cli.checkpoint_input import open_input
from tnm_core.cli.console import print_json, report_head, stdout_console
from tnm_core.cli.pruning import Contents, row_panels
from tnm_core.cli.tables import Table, print_paragraph, shape_text
from tnm_core.skip import Skip

_GROUPS = (4, 8, 16, 32, 64)
_METADATA_SHOWN = 100
_ROWS = 5000  # of one table, which takes 8 KB a row while it is laid out


@dataclass(frozen=True)
class _Tensor:
    """What was found in one tensor; None where it cannot be told."""

    info: TensorInfo
    sparsity: float | None
    rowwise: list[str]
    transposable: list[str]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.info.name,
            "shape": list(self.info.shape),
            "dtype": self.info.dtype,
            "sparsity": self.sparsity,
            "rowwise": self.rowwise,
            "transposable": self.transposable,
        }


def inspect(file: options.Checkpoint, json_output: options.Json = False) -> None:
    """Show tensors, their sparsity, the N:M patterns that hold, and the metadata.

    A pattern holds if every group of M keeps at most N: along rows (row-wise), or along rows and
    columns (transposable). Patterns that a shown one implies are left out.
    """
    with open_input(file) as checkpoint:
        contents = Contents.of(checkpoint)
        found = [_look(contents, info) for info in contents.tensors.values()]
        metadata, records = checkpoint.metadata, contents.records
    if json_output:
        kind = "masks" if contents.holds_masks else "weights"
        head = {**report_head("inspect"), "file": str(file), "kind": kind}
        tensors = [tensor.as_json() for tensor in found]
        print_json({**head, "metadata": metadata, "tensors": tensors})
        return
    console = stdout_console()
    _print_tensors(console, str(file), found)
    _print_records(console, records)
    _print_metadata(console, metadata)


def _look(contents: Contents, info: TensorInfo) -> _Tensor:
    if info.array_dtype is None or info.array_dtype.kind not in "biufcV":
        return _Tensor(info, None, [], [])
    if info.array_dtype.names is not None or info.array_dtype.name.startswith("void"):
        return _Tensor(info, None, [], [])
    support = contents.support(info.name)
    zeros = support.size - int(np.count_nonzero(support))
    sparsity = zeros / support.size if support.size else 0.0
    axes = contents.axes_of(info.name)
    if isinstance(axes, Skip) or zeros == 0:
        return _Tensor(info, sparsity, [], [])
    view = axes.matrices(support)
    most = {m: _most_kept(view, m) for m in _GROUPS if m <= min(view.shape[-2:])}
    return _Tensor(
        info,
        sparsity,
        _patterns({m: rows for m, (rows, _) in most.items()}),
        _patterns({m: max(pair) for m, pair in most.items()}),
    )


def _most_kept(view: NDArray[np.bool_], m: int) -> tuple[int, int]:
    """Find the largest number of kept entries in any group along rows and along columns."""
    rows = columns = 0
    for _, part in row_panels(view, m):
        report = tnm.check_mask(view[..., part, :], m, m, exact=False)
        rows = max(rows, int(report.row_counts.max(initial=0)))
        columns = max(columns, int(report.column_counts.max(initial=0)))
    return rows, columns


def _patterns(most: dict[int, int]) -> list[str]:
    """List the patterns that hold and that no smaller one shown implies."""
    shown: list[str] = []
    density = 1.0
    for m, kept in most.items():
        n = max(kept, 1)
        if n / m < density:
            density = n / m
            shown.append(f"{n}:{m}")
    return shown


def _print_tensors(console: Console, title: str, found: list[_Tensor]) -> None:
    for start in range(0, max(1, len(found)), _ROWS):
        _print_table(console, title, found[start : start + _ROWS])
        title = "(continued)"
    entries = sum(tensor.info.entries for tensor in found)
    print_paragraph(console, f"{len(found)} tensors, {entries:,} entries")


def _print_table(console: Console, title: str, found: list[_Tensor]) -> None:
    headers = ("tensor", "dtype", "row-wise", "transposable", "sparsity", "shape")
    table = Table(title, headers, left=4)
    for tensor in found:
        sparsity = "-" if tensor.sparsity is None else f"{tensor.sparsity:.4f}"
        table.add_row(
            tensor.info.name,
            tensor.info.dtype,
            ", ".join(tensor.rowwise) or "-",
            ", ".join(tensor.transposable) or "-",
            sparsity,
            shape_text(tensor.info.shape),
        )
    table.print(console)


def _print_records(console: Console, records: list[PruneRecord]) -> None:
    for record in records:
        kind = "transposable" if record.transposable else "row-wise"
        print_paragraph(
            console,
            f"pruned: {len(record.layers)} layers to {kind} {record.pattern}, method "
            f"{record.method}, score {record.score}, by tnm_core {record.version}",
        )


def _print_metadata(console: Console, metadata: dict[str, str]) -> None:
    for key, value in metadata.items():
        print_paragraph(console, f"metadata {_start(key)}: {_start(value)}")


def _start(text: str) -> str:
    return text if len(text) <= _METADATA_SHOWN else text[:_METADATA_SHOWN] + "..."
