"""How many masks there are: exact counts, estimates, and what they cost.

`mask_diversity` counts the masks that a constraint allows; `count_margins` counts the 0/1 matrices
of arbitrary row and column sums.
"""

from __future__ import annotations

from tnm_core.diversity.cost import PredictedCost, predicted_cost
from tnm_core.diversity.count import count_margins, log10_mask_diversity, mask_diversity
from tnm_core.diversity.errors import (
    CheckpointMismatchError,
    CountCheckError,
    CountTooCostlyError,
)
from tnm_core.diversity.formulas import Estimate, closed_form, estimate

__all__ = [
    "CheckpointMismatchError",
    "CountCheckError",
    "CountTooCostlyError",
    "Estimate",
    "PredictedCost",
    "closed_form",
    "count_margins",
    "estimate",
    "log10_mask_diversity",
    "mask_diversity",
    "predicted_cost",
]
