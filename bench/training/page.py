"""The page of the documentation: its tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.output.kept import keep
from bench.study.runs import Result
from bench.study.tables import with_table
from bench.training.picture import draw
from bench.training.tables import Costs, quality, step_costs
from bench.training.task import Task

RESULTS = "training-study"


def as_records(results: Sequence[Result], costs: Costs) -> dict[str, Any]:
    """What the page is written from."""
    return {"runs": list(results), "step costs": [cost.as_record() for cost in costs.values()]}


def update(results: Sequence[Result], tasks: Mapping[str, Task], costs: Costs, docs: Path) -> None:
    """Replace the tables of training-study.md, keep what they come from, and draw its pictures."""
    keep(as_records(results, costs), docs, RESULTS)
    page = docs / "training-study.md"
    text = page.read_text()
    for table in (quality(results, tasks, costs), step_costs(costs)):
        text = with_table(text, table, same=2)
    page.write_text(text)
    draw(results, tasks, costs, docs / "images")
