"""Tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tnm_core.cli.errors import printable

_NAMES_SHOWN = 3


def new_table(title: str, *columns: str, left: int = 1) -> Table:
    """Make a table whose first ``left`` columns are text, the others figures."""
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


def print_skipped(console: Console, reasons: Mapping[str, Sequence[str]]) -> None:
    """Print how many tensors or layers were left alone, by reason, with a few names."""
    for reason, names in reasons.items():
        shown = ", ".join(printable(name) for name in names[:_NAMES_SHOWN])
        more = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        console.print(
            Text(f"  {len(names)} left alone: {reason}: {shown}{more}", style="dim"), soft_wrap=True
        )


def shape_text(shape: Sequence[int]) -> str:
    """Spell a shape like 384 x 1536."""
    return " x ".join(map(str, shape))
