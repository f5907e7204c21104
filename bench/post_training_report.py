"""Table and picture of the study of post-training pruning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MEASURES = ("cosine", "neighbours", "lee", "seconds")


def arms_of(results: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, np.ndarray]]:
    """The values of all seeds by pattern, recipe and method, in order of patterns."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in results:
        found.setdefault((one["pattern"], one["recipe"], one["method"]), []).append(one)
    ordered = sorted(found, key=lambda arm: (not arm[0].startswith("row"), len(arm[0]), arm[0]))
    by_quality = sorted(
        ordered,
        key=lambda arm: (
            ordered.index(next(a for a in ordered if a[0] == arm[0])),
            float(np.mean([one["cosine"] for one in found[arm]])),
        ),
    )
    return {
        arm: {name: np.array([one[name] for one in found[arm]], float) for name in MEASURES}
        for arm in by_quality
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Mean and standard deviation over the seeds, as Markdown."""
    lines = [
        "| pattern | recipe | masks | cosine | same neighbour | Lee | CPU seconds | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (pattern, recipe, method), values in arms_of(results).items():
        cells = [_cell(values[name]) for name in MEASURES[:3]]
        lines.append(
            f"| {pattern} | {recipe} | {method} | {' | '.join(cells)} | "
            f"{values['seconds'].mean():.0f} | {len(values['cosine'])} |"
        )
    return "\n".join(lines)


def plot(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Cosine and neighbours of every arm, with standard deviations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    arms = arms_of(results)
    names = [f"{p}  {r}" + ("" if m == "optimal" else f" ({m})") for p, r, m in arms]
    figure, axes = pyplot.subplots(1, 2, sharey=True, figsize=(9, 1.2 + 0.27 * len(arms)))
    for axis, measure in zip(axes, ("cosine", "neighbours"), strict=True):
        means = [values[measure].mean() for values in arms.values()]
        deviations = [_deviation(values[measure]) for values in arms.values()]
        axis.errorbar(means, range(len(arms)), xerr=deviations, fmt="o", capsize=3)
        axis.set_xlabel({"cosine": "cosine to the dense embedding"}.get(measure, "same neighbour"))
        axis.grid(alpha=0.3)
    axes[0].set_yticks(range(len(arms)), names)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _cell(values: np.ndarray) -> str:
    deviation = f" ± {_deviation(values):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{deviation}"


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
