"""What every arm loses, and how training goes: curves, flip rates, diversity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.output.style import save
from bench.study.runs import Result
from bench.study.tables import deviation
from bench.training.arms import DENSE, HALF, METHODS, PATTERNS, Arm
from bench.training.step_costs import StepCost
from bench.training.tables import Costs, by_arm, correlation, diversity_points, lost
from bench.training.wall_clock import seconds_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.training.task import Task

COLOURS = {
    DENSE: "#222222", HALF: "#999999", "row 2:4": "#b3662e", "2:4": "#0b6e4f", "4:8": "#3b8f7a",
    "8:16": "#3b5b92", "16:32": "#7a4fa0", "1:4": "#a8322d",
}  # fmt: skip
ROW = 0.26
SHOWN = (DENSE, HALF, "row 2:4", "16:32", "2:4")
LINES = {"fading": "-", "sr_ste": ":", "every 40 + sr_ste": "--"}


def losses(results: Sequence[Result], tasks: Mapping[str, Task]) -> Figure:
    """Draw what each arm is above dense, a panel for each task."""
    from matplotlib.figure import Figure

    arms = [arm for arm in by_arm(results) if arm.pattern != DENSE and len(lost(results, arm))]
    shown = [name for name in tasks if any(arm.task == name for arm in arms)]
    rows = max(sum(arm.task == name for arm in arms) for name in shown)
    figure = Figure(figsize=(5.4 * len(shown), 1.6 + ROW * rows), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for axis, name in zip(axes, shown, strict=True):
        _losses_of(axis, results, [arm for arm in arms if arm.task == name])
        axis.set_title(f"{name}: {tasks[name].measure_name} above dense", loc="left", fontsize=10)
    figure.suptitle(
        "What sparse training loses: mean over seeds, bar: standard deviation; left is better",
        x=0.01, ha="left", fontsize=12, fontweight="bold",
    )  # fmt: skip
    return figure


def _losses_of(axis: Axes, results: Sequence[Result], arms: Sequence[Arm]) -> None:
    labels = []
    for place, arm in enumerate(arms):
        found = lost(results, arm)
        colour = COLOURS.get(arm.pattern, "#555555")
        axis.errorbar(
            float(found.mean()), place, xerr=deviation(found), fmt="o", color=colour,
            markersize=5, capsize=2.5, linewidth=1.2,
        )  # fmt: skip
        labels.append(_label(arm))
    axis.axvline(0, color="#222222", linewidth=1)
    axis.locator_params(axis="x", nbins=5)
    axis.set_yticks(range(len(arms)), labels, fontsize=8.5)
    axis.set_ylim(len(arms) - 0.4, -0.6)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(color="#eaeaea", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)


def _label(arm: Arm) -> str:
    if arm.is_dense:
        return arm.pattern
    masks = "" if arm.method == METHODS[0] else f", {arm.method.replace('_', '-')} masks"
    return f"{arm.pattern} {arm.recipe.replace('_', ' ')}{masks}"


def courses(results: Sequence[Result], task: str, measure: str, costs: Costs, steps: int) -> Figure:
    """Draw one task: the measure by steps and by time, flip rates, and loss by diversity."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    arms = [
        arm
        for arm in by_arm(results)
        if arm.task == task
        and arm.pattern in SHOWN
        and arm.method == METHODS[0]
        and arm.recipe in (DENSE, HALF, "fading")
    ]
    _by_steps(axes[0, 0], results, arms, measure)
    _by_time(axes[0, 1], results, arms, costs, steps, measure)
    _flips(axes[1, 0], results, task)
    _diversity(axes[1, 1], results, task, measure)
    figure.suptitle(f"{task}: how training goes", x=0.01, ha="left", fontweight="bold")
    return figure


def _curve(results: Sequence[Result], arm: Arm) -> tuple[np.ndarray, np.ndarray]:
    """Steps, and the mean over seeds."""
    curves = [one["curve"] for one in by_arm(results)[arm]]
    steps = np.array([at for at, _ in curves[0]])
    return steps, np.mean([[value for _, value in curve] for curve in curves], axis=0)


def _by_steps(axis: Axes, results: Sequence[Result], arms: Sequence[Arm], measure: str) -> None:
    for arm in arms:
        axis.plot(*_curve(results, arm), color=COLOURS[arm.pattern], label=_label(arm), lw=1.6)
    _finish(axis, "optimizer steps", measure, "By steps")
    _cut(axis)


def _by_time(
    axis: Axes, results: Sequence[Result], arms: Sequence[Arm], costs: Costs, steps: int,
    measure: str,
) -> None:  # fmt: skip
    timed = [arm for arm in arms if arm.pattern == DENSE or (arm.task, arm.pattern) in costs]
    for arm in timed:
        at, values = _curve(results, arm)
        cost = costs.get((arm.task, arm.pattern)) or _any(costs, arm.task)
        if cost is None:
            continue
        seconds = [
            step * cost.dense if arm.is_dense else seconds_at(arm, cost, steps, step) for step in at
        ]
        axis.plot(seconds, values, color=COLOURS[arm.pattern], label=_label(arm), lw=1.6)
    _finish(axis, "seconds, one thread; masks that are fixed by the faster product", measure,
            "By time")  # fmt: skip
    _cut(axis)


def _any(costs: Costs, task: str) -> StepCost | None:
    return next((cost for cost in costs.values() if cost.task == task), None)


def _flips(axis: Axes, results: Sequence[Result], task: str) -> None:
    for arm, ones in by_arm(results).items():
        if arm.task != task or arm.is_dense or arm.method != METHODS[0]:
            continue
        if arm.pattern not in ("2:4", "16:32") or arm.recipe not in LINES:
            continue
        points = [(at, rate) for at, rate, _ in ones[0]["flips"] if rate]
        if points:
            axis.plot(
                *zip(*points, strict=True), label=_label(arm), lw=1.4,
                color=COLOURS[arm.pattern], ls=LINES[arm.recipe],
            )  # fmt: skip
    axis.set_yscale("log")
    _finish(axis, "optimizer steps", "share of entries that change in a refresh", "Flip rate")


def _diversity(axis: Axes, results: Sequence[Result], task: str, measure: str) -> None:
    for pattern, diversity, loss in diversity_points(results, task):
        axis.plot(diversity, loss, "o", color=COLOURS[pattern], label=pattern)
    found = correlation(results, task)
    title = "Loss by diversity"
    if found is not None:
        title += f": correlation {found[0]:.2f} of {found[1]} patterns"
    axis.axhline(0, color="#222222", lw=0.8)
    _finish(axis, "log10 of the number of masks, per weight (exact)", f"{measure} above dense",
            title)  # fmt: skip


def _cut(axis: Axes) -> None:
    """Show the later part, where arms differ."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in axis.lines]
    if curves:
        low, high = min(float(one.min()) for one in curves), max(float(one[-1]) for one in curves)
        margin = max(high - low, 0.02 * abs(high))
        axis.set_ylim(low - 0.1 * margin, high + 2 * margin)


def _finish(axis: Axes, x: str, y: str, title: str) -> None:
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)
    axis.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="#eaeaea", linewidth=0.8)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8)


def draw(
    results: Sequence[Result], tasks: Mapping[str, Task], costs: Costs, folder: Path
) -> dict[str, str]:
    """Write all pictures; give what each shows by its name."""
    drawn: dict[str, str] = {}
    path = folder / "training-losses.png"
    save(losses(results, tasks), path, drawn, "What every arm loses")
    for name, task in tasks.items():
        if not any(one["task"] == name and one["pattern"] in PATTERNS for one in results):
            continue
        path = folder / f"training-{name.replace(', ', '-').replace(' ', '-')}.png"
        figure = courses(results, name, task.measure_name, costs, task.steps)
        save(figure, path, drawn, f"{name}: by steps and by time, flip rates, diversity")
    return drawn
