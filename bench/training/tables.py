"""What the study of training found, as Markdown."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from bench.study.runs import Result
from bench.study.tables import deviation, markdown
from bench.training.arms import DENSE, ENDS_DENSE, HALF, METHODS, PATTERNS, RECIPES, TAUGHT, Arm
from bench.training.step_costs import ROW, StepCost
from bench.training.task import Task
from bench.training.wall_clock import time_of_dense

COUNTS = Path(__file__).parents[2] / "docs" / "diversity-counts.csv"
Costs = Mapping[tuple[str, str], StepCost]


def by_arm(results: Iterable[Result]) -> dict[Arm, list[Result]]:
    """The results of all seeds: by task, pattern, recipe and method."""
    found: dict[Arm, list[Result]] = {}
    for one in results:
        arm = Arm(one["task"], one["pattern"], one["recipe"], one["method"])
        found.setdefault(arm, []).append(one)
    return {arm: found[arm] for arm in sorted(found, key=_place)}


def _place(arm: Arm) -> tuple[object, ...]:
    recipes = (DENSE, HALF, *RECIPES[:1], TAUGHT, ENDS_DENSE, *RECIPES[1:])
    patterns = (DENSE, *PATTERNS, HALF)
    return (
        arm.task,
        patterns.index(arm.pattern),
        recipes.index(arm.recipe) if arm.recipe in recipes else len(recipes),
        METHODS.index(arm.method),
    )


def lost(results: Sequence[Result], arm: Arm) -> np.ndarray:
    """What an arm is above the dense one of the same task, by seeds that both have."""
    dense = {one["seed"]: one["measure"] for one in results if _is(one, arm.task, DENSE)}
    return np.array(
        [
            one["measure"] - dense[one["seed"]]
            for one in by_arm(results)[arm]
            if one["seed"] in dense
        ]
    )


def _is(result: Result, task: str, pattern: str) -> bool:
    return bool(result["task"] == task and result["pattern"] == pattern)


def quality(results: Sequence[Result], tasks: Mapping[str, Task], costs: Costs) -> str:
    """Mean and standard deviation over the seeds, absolute and above the dense model."""
    rows = []
    for arm, found in by_arm(results).items():
        task = tasks[arm.task]
        above = "" if arm.pattern == DENSE else _cell(lost(results, arm), signed=True)
        time = time_of_dense(arm, costs, task.steps)
        rows.append(
            [
                arm.task,
                *_names(arm),
                _cell(np.array([one["measure"] for one in found])),
                above,
                "1" if arm.pattern == DENSE else "" if time is None else f"{time:.2f}",
                str(len(found)),
            ]
        )
    head = ["task", "pattern", "recipe", "masks", "measure", "above dense", "time, dense = 1"]
    return markdown([*head, "seeds"], rows)


def _names(arm: Arm) -> list[str]:
    if arm.is_dense:
        return [arm.pattern, "", ""]
    return [arm.pattern, arm.recipe.replace("_", " "), arm.method.replace("_", "-")]


def _cell(values: np.ndarray, *, signed: bool = False) -> str:
    if not len(values):
        return ""
    text = f"{values.mean():+.4f}" if signed else f"{values.mean():.4f}"
    return f"{text} ± {deviation(values):.4f}" if len(values) > 1 else text


def step_costs(costs: Costs) -> str:
    """Milliseconds of steps, and what refreshes of all masks add to them."""
    rows = []
    for cost in costs.values():
        products = "" if cost.products is None else f"{1e3 * cost.products:.1f}"
        faster = "" if cost.products is None else f"{cost.dense / cost.products:.2f}"
        for method, seconds in cost.refresh.items():
            shares = [f"{100 * seconds / every / cost.dense:.1f} %" for every in (1, 10, 40)]
            first = method == METHODS[0]
            rows.append(
                [
                    *((cost.task, cost.pattern) if first else ("", "")),
                    *((_ms(cost.dense), _ms(cost.masked)) if first else ("", "")),
                    *((products, faster) if first else ("", "")),
                    method.replace("_", "-"),
                    *shares,
                ]
            )
    head = ["task", "pattern", "dense, ms", "masked, ms", "sparse products, ms", "times dense"]
    return markdown([*head, "masks", "refresh at every step", "every 10", "every 40"], rows)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}"


@cache
def log_diversity(pattern: str) -> float:
    """Decimal logarithm of the number of masks, per weight, from exact counts."""
    if pattern.startswith(ROW):
        n, m = map(int, pattern.removeprefix(ROW).split(":"))
        return math.log10(math.comb(m, n)) / m
    n, m = pattern.split(":")
    with COUNTS.open() as file:
        counts = {(row["n"], row["m"]): row["masks"] for row in csv.DictReader(file)}
    return math.log10(int(counts[n, m])) / int(m) ** 2


def correlation(results: Sequence[Result], task: str) -> tuple[float, int] | None:
    """Correlate what patterns of half density lose with the logarithm of their diversity."""
    points = diversity_points(results, task)
    if len(points) < 3:
        return None
    x, y = np.array([(diversity, loss) for _, diversity, loss in points]).T
    return float(np.corrcoef(x, y)[0, 1]), len(points)


def diversity_points(results: Sequence[Result], task: str) -> list[tuple[str, float, float]]:
    """Pattern, logarithm of its diversity per weight, and mean loss above dense."""
    arms = [arm for arm in by_arm(results) if arm.task == task and not arm.is_dense]
    arms = [arm for arm in arms if arm.recipe == RECIPES[0] and arm.method == METHODS[0]]
    return [
        (arm.pattern, log_diversity(arm.pattern), float(lost(results, arm).mean()))
        for arm in arms
        if arm.pattern != "1:4" and len(lost(results, arm))
    ]
