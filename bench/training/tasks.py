"""The tasks of the study, and which arms each of them has."""

from __future__ import annotations

from collections.abc import Mapping

from bench.training.arms import PATTERNS, Arm, by_method, by_pattern, by_recipe, without_masks
from bench.training.images import Images, perceptron, residual_network
from bench.training.task import Task
from bench.training.text import Text

TASKS: Mapping[str, Task] = {
    "text, width 64": Text(64, 1000),
    "text, width 128": Text(128, 1000),
    "text, width 192": Text(192, 1000),
    "images, residual": Images(residual_network, 16, 1000),
    "images, perceptron": Images(perceptron, 256, 1500),
}
# The large one takes hours.
FEW = {"text, width 192": ("16:32", "2:4")}
# Those in which recipes and mask methods are compared, too.
THOROUGH = ("text, width 64", "images, residual", "images, perceptron")
TIMED = ("2:4", "16:32", "1:4")


def default_arms() -> list[Arm]:
    """All that the page of the documentation shows."""
    arms: list[Arm] = []
    for task in TASKS:
        arms += [*without_masks(task), *by_pattern(task, FEW.get(task, PATTERNS))]
        if task in THOROUGH:
            arms += [*by_recipe(task), *by_method(task)]
    return arms
