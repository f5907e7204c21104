"""No table of figures is typed by hand: it comes from results that are kept, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.output.markdown_tables import Table, read_table
from bench.output.pages import PAGES
from bench.output.phrases import PHRASES
from tests.docs.documents import ROOT

DOCS = ROOT / "docs"
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_FIGURE = re.compile(r"[*`~]*[-+]?[\d,]*\.?\d+(e\d+)?\b.*")
BY_PHRASES = "<!-- figures by phrases -->"
# Pages whose tables other tests compare with results.
COMPARED = {
    **{f"{page}.md": "test_figures.py, with docs/results of the same name" for page in PAGES},
    "training-study.md": "test_figures.py",
    "post-training.md": "test_figures.py",
    "post-training-study.md": "test_figures.py",
    "fine-tuning.md": "test_figures.py",
    "scale.md": "test_scale_page.py, with docs/results/scale.json",
    "diversity.md": "tests/counting, with docs/diversity-counts.csv",
}
# What follows from definitions, and is the same everywhere: pages and beginnings of tables.
COUNTED = {
    ("checkpoints.md", "of what"),
    ("packed-files.md", "kept"),
    ("enumeration.md", "pattern"),
}
# What was measured once, and cannot be measured again: of code that is gone, or too long.
NOTES = ("notes/performance.md",)


def _tables(page: Path) -> list[tuple[str, Table]]:
    """The tables of a page, with the paragraph before each."""
    text = page.read_text()
    return [
        (text[: found.start()].rstrip().rpartition("\n\n")[2], read_table(found[0]))
        for found in _TABLE.finditer(text)
    ]


def _is_of_figures(table: Table) -> bool:
    """Most of the cells are numbers, those that name rows apart."""
    cells = [cell for row in table.rows for cell in row[1:] if cell]
    return sum(bool(_FIGURE.fullmatch(cell)) for cell in cells) > len(cells) / 2


PLACES = [
    (str(page.relative_to(DOCS)) if page.is_relative_to(DOCS) else page.name, before, table)
    for page in (ROOT / "README.md", *sorted(DOCS.glob("**/*.md")))
    for before, table in _tables(page)
    if _is_of_figures(table)
]


def test_tables_of_figures_are_found() -> None:
    assert len(PLACES) > 50
    assert {"README.md", "measured.md", "formats.md", "training.md"} <= {one[0] for one in PLACES}


@pytest.mark.parametrize("page", sorted({one[0] for one in PLACES} - set(COMPARED) - set(NOTES)))
def test_figures_come_from_results_that_are_kept(page: str) -> None:
    mine = [(before, table) for name, before, table in PLACES if name == page]
    sentences = {phrase.value(DOCS) for phrase in PHRASES if phrase.page == page}
    for before, table in mine:
        if before.endswith(BY_PHRASES):
            assert {cell for row in table.rows for cell in row[1:]} <= sentences
        elif (page, table.header[0]) not in COUNTED:
            assert before.startswith("<!-- figures of "), table.header


@pytest.mark.parametrize("page", NOTES)
def test_what_was_measured_once_says_when_and_how(page: str) -> None:
    for before, table in [place[1:] for place in PLACES if place[0] == page]:
        assert re.search(r"\b\d+ \w+ 20\d\d\b", before), f"{table.header}: when?"
        assert "`python -m bench" in before, f"{table.header}: by which command?"


def test_exceptions_are_still_needed() -> None:
    pages = {place[0] for place in PLACES}
    assert {*COMPARED, *NOTES} <= pages
    assert {(page, table.header[0]) for page, _, table in PLACES} >= COUNTED
