"""Pictures of masks, retained scores and diversity; needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

from tnm_core.plots.diversity import plot_diversity
from tnm_core.plots.masks import plot_mask
from tnm_core.plots.retained import plot_retained

__all__ = ["plot_diversity", "plot_mask", "plot_retained"]
