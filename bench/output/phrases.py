"""Figures within sentences: the words around them, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.output.markdown_tables import Table, read_tables, table_of
from bench.output.retained import retained_share

_HALF = ("2:4", "4:8", "16:32")


@dataclass(frozen=True)
class Phrase:
    """Words around a figure, which is `{}`, on a page; and how it is found in the documents."""

    page: str
    words: str
    value: Callable[[Path], str]

    def write(self, text: str, docs: Path) -> str:
        """Put the figure in its place.

        Raises
        ------
        ValueError
            If the words are not on the page, once.
        """
        before, after = (
            r"\s+".join(map(re.escape, part.split(" "))) for part in self.words.split("{}")
        )
        pattern = f"({before})([^\\s()][^()]{{0,40}}?)({after})"
        value = self.value(docs)
        text, count = re.subn(pattern, lambda found: _put(found, value), text)
        if count != 1:
            raise ValueError(f"{self.page} has {self.words!r} {count} times, expected it once")
        return text


def _put(found: re.Match[str], value: str) -> str:
    """Leave the text as it is broken into lines if the figure is the same."""
    same = " ".join(found[2].split()) == value
    return found[0] if same else found[1] + value + found[3]


def _numbers(table: Table, rows: tuple[str, ...], place: int = 0) -> list[float]:
    """The numbers of some rows; of cells such as `1.69 / 1.56` the first or the second."""
    chosen = [row for row in table.rows if row[0].startswith(rows) and "row-wise" not in row[0]]
    return [
        float(cell.split(" / ")[place].split()[0]) for row in chosen for cell in row[1:] if cell
    ]


def _span(values: list[float], digits: int) -> str:
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _products(begins: str, rows: tuple[str, ...], digits: int = 1) -> Callable[[Path], str]:
    return lambda docs: _span(
        _numbers(table_of(docs / "products.md", begins, rows[0]), rows), digits
    )


def _training_steps(pattern: str) -> Callable[[Path], str]:
    def value(docs: Path) -> str:
        table = table_of(docs / "products.md", "a training step")
        place, named = table.column("times dense"), table.column("pattern")
        rows = [
            row for row in table.rows if row[0].startswith("MLP") and row[named] in pattern.split()
        ]
        return _span([float(row[place]) for row in rows], 2)

    return value


def _tokens(layer: str, column: str, place: int) -> Callable[[Path], str]:
    """Of the table of one layer by its number of tokens."""

    def value(docs: Path) -> str:
        for table in read_tables(docs / "products.md"):
            if table.header[0].startswith(layer) and column in table.header:
                return table.cell("16:32", column).split(" / ")[place]
        raise LookupError(f"products.md has no table of {layer} by tokens")

    return value


def _milliseconds(threads: str, m: int) -> Callable[[Path], str]:
    def value(docs: Path) -> str:
        table = table_of(docs / "benchmarks.md", "milliseconds per call")
        return f"{float(table.cell(threads, f'm = {m}')):.0f} ms"

    return value


def _said(page: str, pattern: str) -> Callable[[Path], str]:
    """What a sentence of a page says."""

    def value(docs: Path) -> str:
        found = re.search(pattern, (docs / page).read_text())
        if found is None:
            raise LookupError(f"{page} does not say {pattern!r}")
        return found[1]

    return value


def _forms(docs: Path) -> str:
    return str(len(table_of(docs / "surface.md", "case").rows))


def _slower(docs: Path) -> str:
    table = table_of(docs / "benchmarks.md", "tnm_core optimal is faster by", "tnm_core")
    return _span(_numbers(table, ("tnm_core",)), 0)


_FORWARD, _GRADIENT = "times torch", "input gradient"
PHRASES = (
    Phrase("README.md", "forward products are {} times as fast", _products(_FORWARD, _HALF)),
    Phrase("README.md", "input gradients {} times", _products(_GRADIENT, _HALF)),
    Phrase(
        "index.md", "forward products with packed weights are {} times", _products(_FORWARD, _HALF)
    ),
    Phrase("packed-products.md", "So {} times torch's speed", _products(_FORWARD, _HALF)),
    Phrase(
        "deploy-cpu.md", "its products {} times as fast ([products]", _products(_FORWARD, _HALF)
    ),
    Phrase("deploy-cpu.md", "pruned | products {} times as fast", _products(_FORWARD, ("1:4",))),
    Phrase(
        "measured.md",
        "repacking included, is {} times as fast at half",
        _training_steps("2:4 16:32"),
    ),
    Phrase("measured.md", "density and {} times at a quarter", _training_steps("1:4")),
    Phrase("measured.md", "caches alone ({} times torch", _tokens("Llama-1B", "1 token", 0)),
    Phrase("measured.md", "times torch; {} within them)", _tokens("MiniLM", "1 token", 0)),
    Phrase("measured.md", "at 4 and 16 tokens ({} and", _tokens("MiniLM", "4 tokens", 1)),
    Phrase("measured.md", "and {} times the best dense)", _tokens("MiniLM", "16 tokens", 1)),
    Phrase(
        "measured.md", "each of {} tiles", _said("benchmarks.md", r"On all ([\d,]+) tiles solved")
    ),
    Phrase("measured.md", "matrix takes {} at 2:4 and", _milliseconds("1 thread", 4)),
    Phrase("measured.md", "at 2:4 and {} at 8:16 on one thread", _milliseconds("1 thread", 16)),
    Phrase("measured.md", "on one thread, {} and", _milliseconds("2 threads", 4)),
    Phrase("measured.md", "ms and {} on two", _milliseconds("2 threads", 16)),
    Phrase("measured.md", "of {} forms the median", _forms),
    Phrase(
        "measured.md",
        "median reaches {} of that rate",
        _said("surface.md", r"median ratio is ([\d.]+)\.\s"),
    ),
    Phrase("masks.md", "They are slower as well, {} times on normal", _slower),
    Phrase("masks.md", "both retain {} of the score", retained_share("2:4", "greedy")),
    Phrase("masks.md", "the optimum retains {} (`tnm", retained_share("2:4")),
)
