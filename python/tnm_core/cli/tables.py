"""Tables and paragraphs for people: what does not fit the width gives way in a known order."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tnm_core.cli.errors import printable
from tnm_core.cli.shortening import shorten_all

_NAMES_SHOWN = 3
_SHORTENED_TO = 30  # names of layers are shortened so far before columns go
_GAP = 2  # between columns


@dataclass
class Table:
    """Rows under a title: names of layers in the first column, most important figures next.

    Where the console is too narrow, headers take several lines, names are shortened in the middle,
    never so that two of them look alike, then the last columns are left out, and a line below says
    which.
    """

    title: str
    columns: tuple[str, ...]
    left: int = 1  # so many columns are text, the others figures
    rows: list[tuple[str, ...]] = field(default_factory=list)
    total: tuple[str, ...] | None = None

    def add_row(self, *cells: str) -> None:
        """Add a row; what came from a file is made printable."""
        self.rows.append(tuple(printable(cell) for cell in cells))

    def set_total(self, *cells: str) -> None:
        """Add a last row, under a line."""
        self.total = tuple(printable(cell) for cell in cells)

    def print(self, console: Console) -> None:
        """Print what fits, and say what does not."""
        names, widths = self._fit(console.width)
        print_paragraph(console, self.title, style="bold")
        wide = max(console.width, sum(widths) + _GAP * len(widths))
        console.print(self._rich(names, widths), width=wide, crop=False)
        hidden = self.columns[len(widths) :]
        if hidden:
            told = f"left out at {console.width} columns: {', '.join(hidden)} (all are in --json)"
            print_paragraph(console, told, indent=2, style="dim")

    def _fit(self, width: int) -> tuple[list[str], list[int]]:
        """Choose how the first column is shown, and the widths of the columns that are."""
        names = [row[0] for row in self.rows]
        widths = self._widths(whole_heads=True)
        if sum(widths) + _GAP * (len(widths) - 1) <= width:
            return names, widths
        widths = self._widths(whole_heads=False)
        for shown in range(len(widths), 1, -1):
            room = width - sum(one + _GAP for one in widths[1:shown])
            if widths[0] <= room:
                return names, widths[:shown]
            if room >= _SHORTENED_TO:
                shortened = shorten_all(names, room)
                longest = max(map(cell_len, shortened))
                if longest <= room:
                    return shortened, [max(longest, cell_len(self.columns[0])), *widths[1:shown]]
        shortened = shorten_all(names, width)
        return shortened, [max(map(cell_len, [self.columns[0], *shortened]))]

    def _widths(self, whole_heads: bool) -> list[int]:
        """How wide columns must be if a header takes one line, or else a line for each word."""
        rows = [*self.rows, *([] if self.total is None else [self.total])]
        heads = [[head] if whole_heads else head.split() for head in self.columns]
        return [
            max(cell_len(text) for text in (*head, *(row[place] for row in rows)))
            for place, head in enumerate(heads)
        ]

    def _rich(self, names: Sequence[str], widths: Sequence[int]) -> RichTable:
        table = RichTable(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        shown = len(widths)
        for position, (column, width) in enumerate(zip(self.columns, widths, strict=False)):
            table.add_column(
                column, justify="left" if position < self.left else "right", width=width
            )
        for name, row in zip(names, self.rows, strict=True):
            table.add_row(Text(name), *map(Text, row[1:shown]))
        if self.total is not None:
            table.add_section()
            table.add_row(*map(Text, self.total[:shown]), style="bold")
        return table


def print_paragraph(console: Console, text: str, indent: int = 0, style: str = "") -> None:
    """Print text broken between words; a word that is longer than a line stays whole."""
    lines = textwrap.wrap(
        printable(text),
        console.width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(Text("\n".join(lines), style=style), soft_wrap=True)


def print_skipped(console: Console, reasons: Mapping[str, Sequence[str]]) -> None:
    """Print how many tensors or layers were left alone, by reason, with a few names."""
    room = max(_SHORTENED_TO, console.width - 8)
    for reason, names in reasons.items():
        first = [printable(name) for name in names[:_NAMES_SHOWN]]
        shown = ", ".join(shorten_all(first, room))
        more = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        told = f"{len(names)} left alone: {reason}: {shown}{more}"
        print_paragraph(console, told, indent=2, style="dim")


def shape_text(shape: Sequence[int]) -> str:
    """Spell a shape like 384 x 1536."""
    return " x ".join(map(str, shape))
