"""What the study found, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from bench.study.runs import Result
from bench.study.variants import METHODS, MIXED, PATTERNS, RECIPES, Variant

# Part of a layer's name, and what the table calls it: the first that fits. Layers of a kind are
# summed within a block.
KINDS = {
    r"attention\.self\.": "query, key, value",
    r"attention\.output\.": "attention output",
    r"intermediate\.": "feed-forward up",
    r"output\.": "feed-forward down",
}
_NAMES = ("pattern", "recipe", "masks", "samples")
_ORDER = (*RECIPES, "permuted", "permuted, tuned", "allocated")


def by_variant(results: Iterable[Result]) -> dict[Variant, list[Result]]:
    """The results of all seeds: by pattern, recipe and mask method, worse ones first."""
    found: dict[Variant, list[Result]] = {}
    for one in results:
        variant = Variant(one["pattern"], one["recipe"], one["method"], one["samples"])
        found.setdefault(variant, []).append(one)
    return {variant: found[variant] for variant in sorted(found, key=_place)}


def _place(variant: Variant) -> tuple[int, ...]:
    return (
        (*PATTERNS, MIXED).index(variant.pattern),
        _ORDER.index(variant.recipe),
        -METHODS.index(variant.method),
        variant.samples,
    )


def values(results: Sequence[Result], measure: str) -> np.ndarray:
    """A measure by seed."""
    return np.array([one["measures"][measure] for one in results])


def deviation(found: np.ndarray) -> float:
    """Standard deviation of a sample, 0 of one value."""
    return float(found.std(ddof=1)) if len(found) > 1 else 0.0


def quality(results: Sequence[Result]) -> str:
    """Mean and standard deviation over the seeds of every measure."""
    measures = list(results[0]["measures"])
    rows = []
    for variant, found in by_variant(results).items():
        told = [_cell(values(found, measure)) for measure in measures]
        seconds = np.mean([one["seconds"] for one in found])
        rows.append([*_names(variant), *told, f"{seconds:.0f}", str(len(found))])
    return markdown([*_NAMES, *measures, "CPU seconds", "seeds"], rows)


def seconds_by_layer(results: Sequence[Result]) -> str:
    """Median CPU seconds of the layers of a kind in a block."""
    found = {variant: _by_kind(ones) for variant, ones in by_variant(results).items()}
    shapes = {kind: layers for one in found.values() for kind, (layers, _) in one.items()}
    rows = []
    for variant, one in found.items():
        cells = [f"{one[kind][1]:.2f}" if kind in one else "" for kind in shapes]
        rows.append([*_names(variant), *cells])
    kinds = [f"{kind}, {layers}" for kind, layers in shapes.items()]
    return markdown([*_NAMES, *kinds], rows)


def with_table(text: str, table: str, same: int = len(_NAMES)) -> str:
    """A text with its table of the same first columns, so many of them, replaced.

    Raises
    ------
    ValueError
        If there is not exactly one.
    """
    start = " | ".join(table.splitlines()[0].split(" | ")[: same + 1])
    pattern = rf"^{re.escape(start)}[^\n]*(\n\|[^\n]*)*"
    replaced, count = re.subn(pattern, lambda _: table, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"there are {count} tables that begin with {start!r}, expected one")
    return replaced


def _names(variant: Variant) -> tuple[str, ...]:
    return variant.pattern, variant.recipe, variant.method.replace("_", "-"), str(variant.samples)


def _by_kind(results: Sequence[Result]) -> dict[str, tuple[str, float]]:
    """By kind: what its layers are, and their seconds."""
    blocks: dict[tuple[str, int, str], list[Result]] = {}
    for one in results:
        for layer in one["layers"]:
            block = re.sub(r"\D+", ".", layer["name"])
            blocks.setdefault((_kind(layer["name"]), one["seed"], block), []).append(layer)
    seconds: dict[str, list[float]] = {}
    layers: dict[str, str] = {}
    for (kind, _, _), ones in blocks.items():
        seconds.setdefault(kind, []).append(sum(layer["seconds"] for layer in ones))
        size = " x ".join(map(str, ones[0]["shape"]))
        layers[kind] = size if len(ones) == 1 else f"{len(ones)} of {size}"
    return {kind: (layers[kind], float(np.median(ones))) for kind, ones in seconds.items()}


def _kind(name: str) -> str:
    return next((kind for part, kind in KINDS.items() if re.search(part, name)), "other")


def _cell(found: np.ndarray) -> str:
    spread = f" ± {deviation(found):.3f}" if len(found) > 1 else ""
    return f"{found.mean():.3f}{spread}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
