"""What the study found, as Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

import numpy as np

from bench.study.runs import Result
from bench.study.variants import (
    DENSE,
    DENSER,
    METHODS,
    MIXED,
    NOTHING,
    PATTERNS,
    RECIPES,
    WIDER,
    Variant,
)
from tnm_core.pattern import as_pattern

_NAMES = ("pattern", "recipe", "masks", "samples")
_ORDER = (NOTHING, *RECIPES, "permuted", "permuted, tuned", "allocated")
_PATTERNS = (DENSE, *PATTERNS, *WIDER, DENSER, MIXED)
_STAMP = "Measured by"


def by_variant(results: Iterable[Result]) -> dict[Variant, list[Result]]:
    """The results of all seeds: by pattern, recipe and mask method, worse ones first."""
    found: dict[Variant, list[Result]] = {}
    for one in results:
        variant = Variant(**{field.name: one[field.name] for field in fields(Variant)})
        found.setdefault(variant, []).append(one)
    return {variant: found[variant] for variant in sorted(found, key=_place)}


def _place(variant: Variant) -> tuple[int, ...]:
    return (
        _PATTERNS.index(variant.pattern),
        _ORDER.index(variant.recipe),
        -METHODS.index(variant.method),
        variant.samples,
        variant.distilled,
    )


def values(results: Sequence[Result], measure: str) -> np.ndarray:
    """A measure by seed."""
    return np.array([one["measures"][measure] for one in results])


def deviation(found: np.ndarray) -> float:
    """Standard deviation of a sample, 0 of one value."""
    return float(found.std(ddof=1)) if len(found) > 1 else 0.0


def quality(results: Sequence[Result]) -> str:
    """Mean and standard deviation over the seeds of every measure.

    What is kept is a share of the weights that any of these runs prunes: a pattern may be too large
    for some layers, which stay dense.
    """
    measures = list(results[0]["measures"])
    sizes = {layer["name"]: math.prod(layer["shape"]) for one in results for layer in one["layers"]}
    rows = []
    for variant, found in by_variant(results).items():
        told = [_cell(values(found, measure)) for measure in measures]
        memory = [one["mebibytes"] for one in found if one.get("mebibytes")]
        rows.append(
            [
                *_names(variant),
                *told,
                f"{_kept(found[0], sizes):.2f}",
                _seconds(float(np.mean([one["seconds"] for one in found]))),
                f"{max(memory):.0f}" if memory else "",
                str(len(found)),
            ]
        )
    return markdown([*_NAMES, *measures, "kept", "CPU seconds", "peak MiB", "seeds"], rows)


def _kept(result: Result, sizes: Mapping[str, int]) -> float:
    """The share of the weights of layers of these sizes that a run has kept."""
    densities = {one["name"]: as_pattern(one["pattern"]).density for one in result["layers"]}
    kept = sum(size * densities.get(name, 1.0) for name, size in sizes.items())
    return kept / max(1, sum(sizes.values()))


def _seconds(mean: float) -> str:
    """Whole ones, where there are any; a model that is not pruned takes none."""
    return f"{mean:.0f}" if mean >= 1 else f"{mean:.1f}" if mean >= 0.05 else ""


def seconds_by_layer(results: Sequence[Result], kinds: Mapping[str, str]) -> str:
    """Median CPU seconds of the layers of a kind in a block."""
    found = {
        variant: layers
        for variant, ones in by_variant(results).items()
        if (layers := _by_kind(ones, kinds))
    }
    shapes: dict[str, str] = {}
    for one in found.values():
        for kind, (layers, _) in one.items():
            # Of the first: where patterns were allocated, which come last, some layers are dense.
            shapes.setdefault(kind, layers)
    rows = []
    for variant, one in found.items():
        cells = [f"{one[kind][1]:.2f}" if kind in one else "" for kind in shapes]
        rows.append([*_names(variant), *cells])
    header = [f"{kind}, {layers}" if layers else kind for kind, layers in shapes.items()]
    return markdown([*_NAMES, *header], rows)


def speeds_by_pattern(speeds: Sequence[Result]) -> str:
    """Speeds with sparse products, a row for each pattern and machine."""
    timed = [one for one in speeds if one["measures"]]
    names = list(dict.fromkeys(name for one in timed for name in one["measures"]))
    rows = [
        [one["pattern"], *(_number(one["measures"][name], 2) for name in names), one["machine"]]
        for one in sorted(timed, key=lambda one: (one["machine"], _PATTERNS.index(one["pattern"])))
    ]
    return markdown(["pattern", *names, "on"], rows)


def stamped(table: str, how: str) -> str:
    """A table, and below it how it was measured."""
    return f"{table}\n\n{_STAMP} {how}."


def with_table(text: str, table: str, title: str = "", same: int = len(_NAMES)) -> str:
    """A text with its table of the same first columns, so many of them, and its stamp replaced.

    If there is none, it comes at the end, below a heading with the title.

    Raises
    ------
    ValueError
        If there are several, or there is none and no title.
    """
    start = " | ".join(table.splitlines()[0].split(" | ")[: same + 1])
    pattern = rf"^{re.escape(start)}[^\n]*(\n\|[^\n]*)*(\n\n{_STAMP}[^\n]*(\n[^\n]+)*)?"
    replaced, count = re.subn(pattern, lambda _: table, text, flags=re.MULTILINE)
    if count == 0 and title:
        return f"{text.rstrip()}\n\n## What it costs: {title}\n\n{table}\n"
    if count != 1:
        raise ValueError(f"there are {count} tables that begin with {start!r}, expected one")
    return replaced


def _names(variant: Variant) -> tuple[str, ...]:
    if variant.recipe == NOTHING:
        return variant.pattern, "", "", ""
    samples = f"{variant.samples} + {variant.distilled}" if variant.distilled else variant.samples
    return variant.pattern, variant.recipe, variant.method.replace("_", "-"), str(samples)


def _by_kind(results: Sequence[Result], kinds: Mapping[str, str]) -> dict[str, tuple[str, float]]:
    """By kind: what its layers are, and their seconds."""
    blocks: dict[tuple[str, int, str], list[Result]] = {}
    for one in results:
        for layer in one["layers"]:
            block = re.sub(r"\D+", ".", layer["name"])
            blocks.setdefault((_kind(layer["name"], kinds), one["seed"], block), []).append(layer)
    seconds: dict[str, list[float]] = {}
    layers: dict[str, str] = {}
    for (kind, _, _), ones in blocks.items():
        seconds.setdefault(kind, []).append(sum(layer["seconds"] for layer in ones))
        size = " x ".join(map(str, ones[0]["shape"]))
        told = size if len(ones) == 1 else f"{len(ones)} of {size}"
        # Nothing is told of layers that differ from block to block.
        layers[kind] = told if layers.get(kind, told) == told else ""
    return {kind: (layers[kind], float(np.median(ones))) for kind, ones in seconds.items()}


def _kind(name: str, kinds: Mapping[str, str]) -> str:
    return next((kind for part, kind in kinds.items() if re.search(part, name)), "other")


def _cell(found: np.ndarray) -> str:
    spread = f" ± {_number(deviation(found), 3)}" if len(found) > 1 else ""
    return f"{_number(float(found.mean()), 3)}{spread}"


def _number(value: float, digits: int) -> str:
    """Write a number with less behind the point where there is more before it."""
    return f"{value:.{digits if abs(value) < 10 else 1}f}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
