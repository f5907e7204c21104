"""Tables of Markdown pages, read back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.tables import markdown

_TABLE = re.compile(r"(?:^\|.*\n?)+", re.MULTILINE)


@dataclass(frozen=True)
class Table:
    """A table of a page: its header, and its rows as texts of cells."""

    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> int:
        """Find a column by its title."""
        return self.header.index(name)

    def row(self, *names: str) -> list[str]:
        """Find the row that begins so.

        Raises
        ------
        KeyError
            If there is none, or more than one.
        """
        found = [row for row in self.rows if row[: len(names)] == list(names)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} rows begin with {names}, expected one")
        return found[0]

    def cell(self, row: str, column: str) -> str:
        """One cell, by the first cell of its row and the title of its column."""
        return self.row(row)[self.column(column)]

    def markdown(self) -> str:
        """Write it as a page has it."""
        return markdown(self.header, self.rows)


def read_table(text: str) -> Table:
    """Read one table."""
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")]
             for line in text.strip().splitlines()]  # fmt: skip
    return Table(lines[0], lines[2:])


def read_tables(path: Path) -> list[Table]:
    """Read all tables of a page, in order."""
    return [read_table(match[0]) for match in _TABLE.finditer(path.read_text())]


def table_of(path: Path, begins: str, row: str = "") -> Table:
    """Find the first table whose header begins so, and that has a row which begins so.

    Raises
    ------
    LookupError
        If there is none.
    """
    for table in read_tables(path):
        if table.header[0].startswith(begins) and any(one[0].startswith(row) for one in table.rows):
            return table
    raise LookupError(f"{path} has no table that begins with {begins!r}")
