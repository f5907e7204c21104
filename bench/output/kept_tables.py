"""Tables that are made of kept results themselves, as no page of a benchmark has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.output.kept import kept
from bench.output.markdown_tables import Table
from bench.output.retained import RETAINED, retained_table
from bench.tables import number

PERCEPTRON, FORMATS, WHOLE_MODEL = "perceptron", "formats", "whole-model"
_FASTEST = "packed, the better, against the best dense"


def perceptron_table(results: dict[str, Any]) -> Table:
    """Accuracies of all seeds, by recipe and pattern."""
    runs = results["runs"]
    patterns = list(dict.fromkeys(run["pattern"] for run in runs))
    rows = [
        [
            recipe if recipe == "dense" else f"`{recipe}`",
            *(
                " ".join(
                    _share(run["accuracy"], 3)
                    for run in runs
                    if (run["recipe"], run["pattern"]) == (recipe, pattern)
                )
                for pattern in patterns
            ),
        ]
        for recipe in dict.fromkeys(run["recipe"] for run in runs)
    ]
    return Table(["recipe", *patterns], rows)


def sizes_table(results: dict[str, Any]) -> Table:
    """Bytes per weight of a file of each format."""
    sizes = {(one["format"], one["dtype"]): one["bytes per weight"] for one in results["sizes"]}
    dtypes = list(dict.fromkeys(dtype for _, dtype in sizes))
    rows = [
        [f"`{form}`", *(_size(sizes.get((form, dtype))) for dtype in dtypes)]
        for form in dict.fromkeys(form for form, _ in sizes)
    ]
    return Table(["bytes per weight", *dtypes], rows)


def _size(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value >= 1 else _share(value, 3)


def codes_table(results: dict[str, Any]) -> Table:
    """What masks take as ranks, and how fast they are written and read."""
    header = ["pattern", "bits per entry", "entropy", "million entries per second, written", "read"]
    rows = [
        [
            one["pattern"],
            *(_share(one[name], 4) for name in ("bits", "entropy")),
            *(number(one[name]) for name in ("written", "read")),
        ]
        for one in results["codes"]
    ]
    return Table(header, rows)


def whole_model_table(results: dict[str, Any]) -> Table:
    """How many times as fast as the dense model each variant is, by the size of batches."""
    speeds = results["speeds"]
    names = [name for name in speeds[0]["variants"] if name != "dense"]
    rows = [[name, *(f"{speedups(one)[name]:.2f}" for one in speeds)] for name in names]
    rows.append([_FASTEST, *(f"{against_the_best_dense(one):.2f}" for one in speeds)])
    sizes = [f"batches of {one['batch_size']}" for one in speeds]
    return Table(["times as fast as dense", *sizes], rows)


def speedups(speed: dict[str, Any]) -> dict[str, float]:
    """How many times as fast as dense, by variant."""
    return {name: one["speedup"] for name, one in speed["variants"].items()}


def against_the_best_dense(speed: dict[str, Any]) -> float:
    """How the fastest packed variant stands to the fastest of the others."""
    found = speedups(speed)
    packed = [value for name, value in found.items() if name.startswith("packed")]
    return max(packed) / max(value for name, value in found.items() if name[:6] != "packed")


def _share(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".removeprefix("0")


def _of(name: str, *tables: Callable[[dict[str, Any]], Table]) -> Callable[[Path], list[Table]]:
    return lambda docs: [table(kept(docs, name)) for table in tables]


# By what stands behind `figures of` in a marker.
KEPT_TABLES: dict[str, Callable[[Path], list[Table]]] = {
    RETAINED: lambda docs: [retained_table(docs)],
    PERCEPTRON: _of(PERCEPTRON, perceptron_table),
    FORMATS: _of(FORMATS, sizes_table, codes_table),
    WHOLE_MODEL: _of(WHOLE_MODEL, whole_model_table),
}
