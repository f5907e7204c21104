"""Figures that pages repeat, written into them from the page that the benchmark wrote.

    python -m bench.output.figures      # after figures of a page changed; `--docs` does it, too

Below a line such as `<!-- figures of products.md -->` stands a table whose cells are those of a
table of that page: of ONE table, so that rows of different runs never stand side by side. The table
itself says which rows and columns; `by 4 columns` says that so many columns name a row. In place of
a page stands the name of results whose table no other page has (kept_tables.py). Figures within
sentences are found by the words around them (phrases.py).
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.output.kept_tables import KEPT_TABLES
from bench.output.markdown_tables import Table, read_table, read_tables
from bench.output.phrases import PHRASES

ROOT = Path(__file__).resolve().parents[2]
_MARKED = re.compile(
    r"^<!-- figures of (?P<page>[\w.-]+)(?:, by (?P<keys>\d) columns)? -->\n\n"
    r"(?P<table>(?:\|.*\n)+)",
    re.MULTILINE,
)


def update(docs: Path, readme: Path | None = None) -> list[Path]:
    """Write all figures; return the pages that changed."""
    changed = []
    pages = [readme or docs.parent / "README.md", *sorted(docs.glob("*.md"))]
    for page in [one for one in pages if one.exists()]:
        text = page.read_text()
        new = _MARKED.sub(lambda found: _fill(found, docs), text)
        for phrase in PHRASES:
            if phrase.page == page.name:
                new = phrase.write(new, docs)
        if new != text:
            page.write_text(new)
            changed.append(page)
    return changed


def _fill(found: re.Match[str], docs: Path) -> str:
    """Fill the table below a marker."""
    wanted = read_table(found["table"])
    made = KEPT_TABLES.get(found["page"])
    wholes = read_tables(docs / found["page"]) if made is None else made(docs)
    rows = next(filter(None, (_part(wanted, one, int(found["keys"] or 1)) for one in wholes)), None)
    if rows is None:
        raise ValueError(f"{found['page']} has no table that holds all of\n{found['table']}")
    marks = found["table"].splitlines()[1]
    lines = [f"| {' | '.join(row)} |" for row in (wanted.header, *rows)]
    filled = "\n".join([lines[0], marks, *lines[1:], ""])
    return found[0].replace(found["table"], filled)


def _part(wanted: Table, whole: Table, keys: int) -> list[list[str]] | None:
    """Take the rows and columns of a table out of another, if it has all of them."""
    if wanted.header[:keys] != whole.header[:keys] or not set(wanted.header) <= set(whole.header):
        return None
    places = [whole.column(name) for name in wanted.header]
    try:
        rows = [whole.row(*row[:keys]) for row in wanted.rows]
    except KeyError:
        return None
    return [[row[place] for place in places] for row in rows]


def main() -> None:
    """Write all figures of this checkout, and name the pages that changed."""
    for page in update(ROOT / "docs"):
        print(page)


if __name__ == "__main__":
    main()
