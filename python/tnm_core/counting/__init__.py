"""How many masks there are: exact counts, estimates, and what they cost.

`mask_diversity` counts the masks that a constraint allows; `count_margins` counts the 0/1 matrices
of arbitrary row and column sums.
"""

from __future__ import annotations

from tnm_core.counting.arguments import Constraint, as_constraint
from tnm_core.counting.cost import PredictedCost, predicted_cost
from tnm_core.counting.count import (
    count_margins,
    diversity_factors,
    log10_mask_diversity,
    mask_diversity,
)
from tnm_core.counting.errors import CheckpointMismatchError, CountCheckError, CountTooCostlyError
from tnm_core.counting.factors import Factor, multiply_out
from tnm_core.counting.formulas import Estimate, closed_form, estimate, log10_of

__all__ = [
    "CheckpointMismatchError",
    "Constraint",
    "CountCheckError",
    "CountTooCostlyError",
    "Estimate",
    "Factor",
    "PredictedCost",
    "as_constraint",
    "closed_form",
    "count_margins",
    "diversity_factors",
    "estimate",
    "log10_mask_diversity",
    "log10_of",
    "mask_diversity",
    "multiply_out",
    "predicted_cost",
]
