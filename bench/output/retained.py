"""What masks retain of MiniLM-L6-v2, as bench.minilm_retained found it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.output.kept import kept
from bench.output.markdown_tables import Table

RETAINED = "minilm-retained"


def retained_table(docs: Path) -> Table:
    """The shares of the magnitude that masks of MiniLM retain."""
    kinds = {
        "transposable, optimal": "optimal",
        "row-wise": "rowwise",
        "unstructured, same density": "unstructured",
    }
    found = [one for one in kept(docs, RETAINED)["runs"] if one["method"] == "optimal"]
    rows = [
        [one["pattern"], *(share(one["retained"][name]) for name in kinds.values())]
        for one in found
    ]
    return Table(["pattern", *kinds], rows)


def share(value: float) -> str:
    """Four digits, without the zero in front."""
    return f"{value:.4f}".removeprefix("0")


def retained_share(pattern: str, method: str = "optimal") -> Callable[[Path], str]:
    def value(docs: Path) -> str:
        runs = kept(docs, RETAINED)["runs"]
        one = next(run for run in runs if (run["pattern"], run["method"]) == (pattern, method))
        return f"{one['retained'][method]:.4f}"

    return value
