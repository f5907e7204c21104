"""The tasks of the study, and which arms each of them has."""

from __future__ import annotations

from collections.abc import Mapping

from bench.training.arms import (
    Arm,
    by_method,
    by_pattern,
    by_recipe,
    taught,
    without_masks,
)
from bench.training.images import Images, perceptron, residual_network
from bench.training.task import Task
from bench.training.text import Text

TASKS: Mapping[str, Task] = {
    "text, width 64": Text(64, 2000),
    "text, width 128": Text(128, 2000),
    "images, residual": Images(residual_network, 16, 1000),
    "images, perceptron": Images(perceptron, 256, 1500),
}
TIMED = ("2:4", "16:32", "1:4")
# Each run of the wide model takes minutes.
OF_WIDE = ("row 2:4", "16:32", "8:16", "2:4")
# Adam cancels a decay that hides in the gradient, so that there "every 40 + sr_ste" is "every 40",
# and "sr_ste" nearly "every 1".
OF_ADAM = ("late_static", "sr_ste", "every 10", "every 40", "static")
OF_SGD = ("late_static", "sr_ste", "every 1", "every 10", "every 40", "every 40 + sr_ste", "static")


def default_arms() -> list[Arm]:
    """All that the page of the documentation shows."""
    wide, narrow = "text, width 128", "text, width 64"
    arms = [*without_masks(wide), *by_pattern(wide, OF_WIDE), *taught(wide, ("2:4",))]
    arms += [*without_masks(narrow), *by_pattern(narrow), *taught(narrow)]
    arms += [*by_recipe(narrow, OF_ADAM), *by_method(narrow)]
    for images in ("images, residual", "images, perceptron"):
        arms += [*without_masks(images), *by_pattern(images), *by_recipe(images, OF_SGD)]
        arms += by_method(images)
    return arms
