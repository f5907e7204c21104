"""Units reordered so that tiles keep more."""

from __future__ import annotations

from tnm_core.torch.calibrate.permute.dimensions import FreeDimension
from tnm_core.torch.calibrate.permute.free_dimensions import find_free_dimensions
from tnm_core.torch.calibrate.permute.permutation import Permutation, permute_

__all__ = [
    "FreeDimension",
    "Permutation",
    "find_free_dimensions",
    "permute_",
]
