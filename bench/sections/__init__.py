"""What is measured, one subject for each module."""

from __future__ import annotations

from bench.sections import (
    ceilings,
    certificate,
    distributions,
    diversity,
    dtypes,
    enumeration,
    headline,
    instruction_sets,
    patterns,
    products,
    products_training,
    shapes,
    small_call,
    stages,
    surface,
)
from bench.sections.base import Section
from bench.sections.peers import approximations, exact, hard

# In the order of the report. Sections read what earlier ones found.
SECTIONS: tuple[Section, ...] = (
    ceilings.SECTION,
    headline.SECTION,
    stages.SECTION,
    exact.SECTION,
    approximations.SECTION,
    hard.SECTION,
    patterns.SECTION,
    distributions.SECTION,
    dtypes.SECTION,
    shapes.SECTION,
    surface.SECTION,
    instruction_sets.SECTION,
    certificate.SECTION,
    small_call.SECTION,
    enumeration.SECTION,
    diversity.SECTION,
    products.SECTION,
    products_training.SECTION,
)

__all__ = ["SECTIONS", "Section"]
