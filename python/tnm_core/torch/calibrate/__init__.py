"""Post-training pruning with calibration data: statistics, masks, reconstruction, recipes."""

from __future__ import annotations

from tnm_core.torch.calibrate.dimensions import FreeDimension
from tnm_core.torch.calibrate.finding import find_free_dimensions
from tnm_core.torch.calibrate.geometry import LayerPattern
from tnm_core.torch.calibrate.moments import Moments
from tnm_core.torch.calibrate.permutation import Permutation, permute_
from tnm_core.torch.calibrate.prune import prune_model
from tnm_core.torch.calibrate.prune_report import PrunedLayer, PruneReport, TunedBlock
from tnm_core.torch.calibrate.quadratic import RankDeficientWarning
from tnm_core.torch.calibrate.recipe import RECIPES, Recipe
from tnm_core.torch.calibrate.statistics import Statistics, collect_statistics

__all__ = [
    "RECIPES",
    "FreeDimension",
    "LayerPattern",
    "Moments",
    "Permutation",
    "PruneReport",
    "PrunedLayer",
    "RankDeficientWarning",
    "Recipe",
    "Statistics",
    "TunedBlock",
    "collect_statistics",
    "find_free_dimensions",
    "permute_",
    "prune_model",
]
