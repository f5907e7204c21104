"""The variants of the study: patterns, recipes, mask methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bench.study.choice import matching

PATTERNS = ("row 2:4", "2:4", "4:8", "8:16", "16:32")
RECIPES = (
    *("magnitude", "wanda", "adaprune", "least_squares"),
    *("sequential", "sparsegpt", "best", "tuned"),
)
METHODS = ("optimal", "two_approximation", "greedy")
SAMPLES = 512
MIXED = "mixed"


@dataclass(frozen=True)
class Variant:
    """One way to prune.

    The recipes are those of `prune_model_`, and some that do more before: "permuted" reorders units
    and goes on as "best", "permuted, tuned" as "tuned"; "allocated" gives each layer its own
    pattern, within half of the parameters.
    """

    pattern: str
    recipe: str
    method: str = "optimal"
    samples: int = SAMPLES

    def __str__(self) -> str:
        return f"{self.pattern} {self.recipe} {self.method}"


# Long ones first, so that workers end together. Greedy masks stand for both approximations: once
# completed these are the same. AdaPrune, which takes longest, is in the grid only.
DEFAULT = (
    Variant(MIXED, "allocated"),
    Variant("2:4", "permuted, tuned"),
    Variant("2:4", "tuned"),
    Variant("2:4", "permuted"),
    *(Variant(pattern, "best") for pattern in PATTERNS),
    Variant("2:4", "best", "greedy"),
    *(Variant("2:4", recipe) for recipe in RECIPES if recipe not in ("best", "tuned", "adaprune")),
    Variant("2:4", "least_squares", "greedy"),
)


def full_grid() -> Iterator[Variant]:
    """Everything; row-wise masks know no other method than the optimal one."""
    yield Variant(MIXED, "allocated")
    yield Variant("2:4", "permuted")
    yield Variant("2:4", "permuted, tuned")
    for pattern in PATTERNS:
        for recipe in RECIPES:
            for method in METHODS[: 1 if pattern.startswith("row") else None]:
                yield Variant(pattern, recipe, method)


def chosen_variants(
    variants: Iterable[Variant], expression: str = "", samples: int = SAMPLES
) -> list[Variant]:
    """The variants whose names match a regular expression.

    Raises
    ------
    ValueError
        If none does, or it is no regular expression.
    """
    found = matching(variants, expression, "variants")
    return [replace(variant, samples=samples) for variant in found]
