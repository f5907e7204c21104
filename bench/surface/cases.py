"""The list of cases: masks of every form of weights, and what surrounds masks."""

from __future__ import annotations

from bench.surface.around_cases import around_cases
from bench.surface.case import Case
from bench.surface.mask_cases import mask_cases
from bench.surface.shape_cases import shape_cases
from bench.surface.value_cases import value_cases


def all_cases() -> list[Case]:
    """List all cases, group by group."""
    return [*mask_cases(), *shape_cases(), *value_cases(), *around_cases()]
