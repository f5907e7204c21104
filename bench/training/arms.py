"""The arms of the study: tasks, patterns, recipes, mask methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

DENSE, HALF = "dense", "half size"
PATTERNS = ("row 2:4", "16:32", "8:16", "4:8", "2:4", "1:4")
RECIPES = (
    *("fading", "late_static", "sr_ste", "every 1", "every 10", "every 40"),
    *("every 40 + sr_ste", "static"),
)
TAUGHT = "fading + teacher"
ENDS_DENSE = "fading, then dense"
METHODS = ("optimal", "two_approximation", "greedy")


@dataclass(frozen=True)
class Arm:
    """One way to train; `pattern` and `recipe` are both "dense" or "half size" without masks."""

    task: str
    pattern: str
    recipe: str = "fading"
    method: str = "optimal"

    def __str__(self) -> str:
        return f"{self.task} {self.pattern} {self.recipe} {self.method}"

    @property
    def is_dense(self) -> bool:
        """Whether nothing is pruned."""
        return self.pattern in (DENSE, HALF)


def without_masks(task: str) -> Iterator[Arm]:
    """What the others are compared with."""
    for kind in (DENSE, HALF):
        yield Arm(task, kind, kind)


def by_pattern(task: str, patterns: Iterable[str] = PATTERNS) -> Iterator[Arm]:
    """All patterns by the recipe that `train_sparse_` chooses."""
    for pattern in patterns:
        yield Arm(task, pattern)


def by_recipe(
    task: str, recipes: Iterable[str] = RECIPES[1:], pattern: str = "2:4"
) -> Iterator[Arm]:
    """The other recipes."""
    for recipe in recipes:
        yield Arm(task, pattern, recipe)


def taught(task: str, patterns: Iterable[str] = ("16:32", "2:4")) -> Iterator[Arm]:
    """Fading, with a dense model to learn from, which has to be trained before."""
    for pattern in patterns:
        yield Arm(task, pattern, TAUGHT)


def ends_dense(task: str, patterns: Iterable[str] = ("16:32", "2:4")) -> Iterator[Arm]:
    """Fading, and for the last fifth no masks: sparse while training, dense when used."""
    for pattern in patterns:
        yield Arm(task, pattern, ENDS_DENSE)


def by_method(task: str, pattern: str = "2:4") -> Iterator[Arm]:
    """Masks that are not optimal."""
    for method in METHODS[1:]:
        yield Arm(task, pattern, method=method)
