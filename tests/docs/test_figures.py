"""Figures that pages repeat are those of the page that the benchmark wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.documents import ROOT

DOCS = ROOT / "docs"
SOURCES = [DOCS / name for name in ("products.md", "benchmarks.md", "post-training.md")]
BY_DEMO = "transposable, optimal"  # `make demo` prints these
Table = list[list[str]]


def _tables(path: Path, section: str = "") -> list[Table]:
    """Read tables, their header first, without the line below it."""
    text = path.read_text().partition(f"\n## {section}\n")[2] if section else path.read_text()
    text = text.partition("\n## ")[0] if section else text
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    tables = [[_cells(line) for line in one.splitlines()] for one in found]
    return [[table[0], *table[2:]] for table in tables]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _is_part(part: Table, whole: Table) -> bool:
    """Whether columns and rows of one table are all found in another."""
    header = whole[0]
    if part[0][0] != header[0] or not set(part[0]) <= set(header):
        return False
    places = [header.index(name) for name in part[0]]
    rows = [[row[place] for place in places] for row in whole[1:] if len(row) == len(header)]
    return all(row in rows for row in part[1:])


@pytest.mark.parametrize(
    ("page", "section", "count"), [("README.md", "Measured", 3), ("docs/measured.md", "", 5)]
)
def test_each_table_is_a_part_of_one(page: str, section: str, count: int) -> None:
    """Of one table, so that rows of different runs never stand side by side."""
    wholes = [table for path in SOURCES for table in _tables(path)]
    parts = [one for one in _tables(ROOT / page, section) if BY_DEMO not in one[0]]
    assert len(parts) == count
    for part in parts:
        assert any(_is_part(part, whole) for whole in wholes), part


def test_a_figure_of_another_run_is_found() -> None:
    whole = [["rate", "m = 4", "m = 8"], ["ours", "3", "2"], ["theirs", "1", "1"]]
    assert _is_part([["rate", "m = 8"], ["ours", "2"]], whole)
    assert not _is_part([["rate", "m = 8"], ["ours", "3"]], whole)
    assert not _is_part([["rate", "m = 16"], ["ours", "2"]], whole)
    assert not _is_part([["other", "m = 8"], ["ours", "2"]], whole)


def _table(page: str, begins: str, row: str) -> Table:
    """Find the table whose header begins so, and that has a row which begins so."""
    return next(
        one
        for one in _tables(DOCS / page)
        if one[0][0].startswith(begins) and any(line[0].startswith(row) for line in one[1:])
    )


def _range(table: Table, rows: tuple[str, ...], digits: int) -> str:
    """Give the least and the largest of the first numbers in the cells of some rows."""
    cells = [cell for row in table[1:] if row[0].startswith(rows) for cell in row[1:] if cell]
    numbers = [float(cell.split()[0]) for cell in cells]
    return f"{min(numbers):.{digits}f} to {max(numbers):.{digits}f} times"


def _told(path: Path) -> str:
    return " ".join(path.read_text().split())


def test_how_fast_products_are() -> None:
    half = ("2:4", "4:8", "16:32")
    forward, gradients = (
        [row for row in _table("products.md", begins, "2:4") if row[0] != "2:4, row-wise"]
        for begins in ("times torch", "input gradient")
    )
    first_screen = _told(ROOT / "README.md").partition(" ## ")[0]
    told = f"{_range(forward, half, 1)} as fast as torch's"
    assert f"forward products are {told}" in first_screen
    assert f"input gradients {_range(gradients, half, 1).removesuffix(' times')}" in first_screen
    assert told in _told(DOCS / "index.md")


def test_how_fast_approximations_are() -> None:
    table = _table("benchmarks.md", "tnm_core optimal is faster by", "tnm_core")
    assert _range(table, ("tnm_core",), 0) in _told(DOCS / "masks.md")
