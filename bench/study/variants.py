"""The variants of the study: patterns, recipes, mask methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bench.study.choice import matching

DISTILLED = "distilled"
PATTERNS = ("1:4", "row 2:4", "2:4", "4:8", "8:16", "16:32")
RECIPES = (
    *("magnitude", "wanda", "adaprune", "least_squares"),
    *("sequential", "sparsegpt", "best", "tuned", DISTILLED),
)
COMPARED = ("row 2:4", "2:4", "16:32")
QUICK, SLOW = ("wanda", "sparsegpt"), (DISTILLED, "tuned")
METHODS = ("optimal", "two_approximation", "greedy")
SAMPLES = 512
WIDER, DENSER = ("32:64", "64:128"), "24:32"
MIXED, DENSE, NOTHING = "mixed", "dense", "nothing"


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
    distilled: int = 0  # further samples, where a recipe distils

    def __str__(self) -> str:
        return f"{self.pattern} {self.recipe} {self.method}"


# Long ones first, so that workers end together. Greedy masks stand for both approximations: once
# completed these are the same. AdaPrune, which takes longest, is in the grid only.
ENCODER = (
    Variant(MIXED, "allocated"),
    Variant("2:4", "permuted, tuned"),
    *(Variant(pattern, recipe) for recipe in SLOW for pattern in ("2:4", "16:32")),
    Variant("2:4", "permuted"),
    *(Variant(pattern, "best") for pattern in PATTERNS if pattern != "1:4"),
    Variant("2:4", "best", "greedy"),
    *(Variant("2:4", recipe) for recipe in ("magnitude", "wanda", "least_squares", "sequential")),
    Variant("2:4", "sparsegpt"),
    Variant("2:4", "least_squares", "greedy"),
    Variant(DENSE, NOTHING),
)

# Where a run takes long: all patterns by one recipe, some by the others. A model that is not pruned
# is measured, too.
BRIEF = (
    Variant(MIXED, "allocated"),
    *(Variant(pattern, "best") for pattern in (*reversed(COMPARED), "8:16", "4:8", "1:4")),
    *(Variant(pattern, recipe) for recipe in SLOW for pattern in reversed(COMPARED)),
    *(Variant(pattern, recipe) for recipe in QUICK for pattern in COMPARED),
    Variant(DENSE, NOTHING),
)
# Where it takes longest, so that two cores are done in two hours.
_TOO_LONG = {
    *((pattern, "tuned") for pattern in COMPARED if pattern != "16:32"),
    *(("row 2:4", recipe) for recipe in ("sparsegpt", DISTILLED)),
}
LANGUAGE_MODEL = tuple(one for one in BRIEF if (one.pattern, one.recipe) not in _TOO_LONG)
# Few weights to spare: what larger tiles are worth, and another quarter of the weights.
NETWORK = (
    Variant("64:128", DISTILLED),
    *(Variant(pattern, "best") for pattern in WIDER),
    *BRIEF,
    Variant(DENSER, "best"),
)


def full_grid() -> Iterator[Variant]:
    """Everything; row-wise masks know no other method than the optimal one."""
    yield Variant(DENSE, NOTHING)
    yield Variant(MIXED, "allocated")
    yield Variant("2:4", "permuted")
    yield Variant("2:4", "permuted, tuned")
    for pattern in (*PATTERNS, *WIDER):
        for recipe in RECIPES:
            for method in METHODS[: 1 if pattern.startswith("row") else None]:
                yield Variant(pattern, recipe, method)


def chosen_variants(
    variants: Iterable[Variant], expression: str = "", samples: int = SAMPLES, distilled: int = 0
) -> list[Variant]:
    """The variants whose names match a regular expression, with so many samples.

    Those that distil do so with `distilled` further ones.

    Raises
    ------
    ValueError
        If none does, or it is no regular expression.
    """
    found = matching(variants, expression, "variants")
    return [
        replace(one, samples=samples, distilled=distilled if one.recipe == DISTILLED else 0)
        for one in found
    ]
