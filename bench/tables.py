"""Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from bench.context import Record


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """First column to the left, the others to the right."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def pivot(
    records: Sequence[Record],
    corner: str,
    row: Callable[[Record], str],
    column: Callable[[Record], Hashable],
    cell: Callable[[Record], str],
    column_title: Callable[[Any], str] = str,
) -> str:
    """One record a cell; rows and columns in order of appearance."""
    rows = list(dict.fromkeys(row(record) for record in records))
    columns = list(dict.fromkeys(column(record) for record in records))
    cells = {(row(record), column(record)): cell(record) for record in records}
    return markdown(
        [corner, *(column_title(name) for name in columns)],
        ([name, *(cells.get((name, other), "") for other in columns)] for name in rows),
    )


def number(value: float) -> str:
    """Three significant digits, at least, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def rate(record: Record) -> str:
    return number(record["rate"])


def percent(loss: float) -> str:
    return "0" if loss == 0 else f"{100 * loss:.2g} %"


def by_m(m: int) -> str:
    return f"m = {m}"
