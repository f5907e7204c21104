"""The page of the documentation: its tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.study.runs import Result
from bench.study.tables import with_table
from bench.training.picture import draw
from bench.training.tables import Costs, quality, step_costs
from bench.training.task import Task


def update(results: Sequence[Result], tasks: Mapping[str, Task], costs: Costs, docs: Path) -> None:
    """Replace the tables of training-study.md, and draw its pictures."""
    page = docs / "training-study.md"
    text = page.read_text()
    for table in (quality(results, tasks, costs), step_costs(costs)):
        text = with_table(text, table, same=2)
    page.write_text(text)
    draw(results, tasks, costs, docs / "images")
