"""What a section is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.context import Context, Record

MAIN_M = (4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Section:
    """A set of measurements; `table` renders its records as Markdown, on a page of the docs."""

    name: str
    title: str
    text: str
    run: Callable[[Context], list[Record]]
    table: Callable[[list[Record]], str]
    page: str = "benchmarks"
