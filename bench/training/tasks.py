"""The tasks of the study, and which arms each of them has."""

from __future__ import annotations

from collections.abc import Mapping

from bench.training.arms import (
    Arm,
    by_method,
    by_pattern,
    by_recipe,
    ends_dense,
    taught,
    without_masks,
)
from bench.training.images import Images, perceptron, residual_network
from bench.training.task import Task
from bench.training.text import Text

TASKS: Mapping[str, Task] = {
    "text, width 32": Text(32, 3000),
    "text, width 64": Text(64, 4000),
    "images, residual": Images(residual_network, 16, 1000),
    "images, perceptron": Images(perceptron, 256, 1500),
}
# Too wide to be trained here; their steps tell from which size on sparse products pay.
TIMED_ALONE: Mapping[str, Task] = {
    "text, width 256": Text(256, 1),
    "text, width 512": Text(512, 1),
}
TIMED = ("row 2:4", "16:32", "2:4", "1:4")
# Each run of these takes minutes.
OF_WIDE = ("row 2:4", "16:32", "8:16", "2:4")
OF_RESIDUAL = ("row 2:4", "16:32", "2:4")
# Adam cancels a decay that hides in the gradient, so that there "every 40 + sr_ste" is "every 40",
# and "sr_ste" nearly "every 1".
OF_ADAM = ("late_static", "sr_ste", "every 10", "every 40", "static")
OF_SGD = ("late_static", "sr_ste", "every 1", "every 10", "every 40", "every 40 + sr_ste", "static")
OF_RESIDUAL_SGD = ("late_static", "sr_ste", "every 40 + sr_ste", "static")


def default_arms() -> list[Arm]:
    """All that the page of the documentation shows."""
    narrow, wide, residual, perceptrons = TASKS
    arms = [*without_masks(wide), *by_pattern(wide, OF_WIDE)]
    arms += [*without_masks(narrow), *by_pattern(narrow), *taught(narrow, ("2:4",))]
    arms += [*ends_dense(narrow), *by_recipe(narrow, OF_ADAM), *by_method(narrow)]
    arms += [*without_masks(residual), *by_pattern(residual, OF_RESIDUAL)]
    arms += by_recipe(residual, OF_RESIDUAL_SGD)
    arms += [*without_masks(perceptrons), *by_pattern(perceptrons), *by_method(perceptrons)]
    arms += by_recipe(perceptrons, OF_SGD)
    return arms
