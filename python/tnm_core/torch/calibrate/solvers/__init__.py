"""Masks and weights of one layer as least squares."""

from __future__ import annotations

from tnm_core.torch.calibrate.solvers.layer_pruning import PrunedMatrices, prune_matrices
from tnm_core.torch.calibrate.solvers.problem import LayerLeastSquares, problem_without_data
from tnm_core.torch.calibrate.solvers.problem_of_moments import (
    RankDeficientWarning,
    layer_least_squares_of,
)
from tnm_core.torch.calibrate.solvers.recipe import RECIPES, DistillLoss, Recipe, recipe_of

__all__ = [
    "RECIPES",
    "DistillLoss",
    "LayerLeastSquares",
    "PrunedMatrices",
    "RankDeficientWarning",
    "Recipe",
    "layer_least_squares_of",
    "problem_without_data",
    "prune_matrices",
    "recipe_of",
]
