"""Masks and weights of one layer as least squares."""

from __future__ import annotations

from tnm_core.torch.calibrate.solvers.layer_least_squares import (
    Quadratic,
    RankDeficientWarning,
    problem_without_data,
    quadratic_of,
)
from tnm_core.torch.calibrate.solvers.layer_pruning import PrunedMatrices, prune_matrices
from tnm_core.torch.calibrate.solvers.recipe import RECIPES, Recipe, recipe_of

__all__ = [
    "RECIPES",
    "PrunedMatrices",
    "Quadratic",
    "RankDeficientWarning",
    "Recipe",
    "problem_without_data",
    "prune_matrices",
    "quadratic_of",
    "recipe_of",
]
