"""What is measured, one subject a module."""

from __future__ import annotations

from bench.sections import (
    approximations,
    ceilings,
    certificate,
    distributions,
    diversity,
    dtypes,
    enumeration,
    hard_peers,
    headline,
    instruction_sets,
    patterns,
    peers,
    shapes,
    small_call,
    stages,
)
from bench.sections.base import Section

# In the order of the report. Sections read what earlier ones found.
SECTIONS: tuple[Section, ...] = (
    ceilings.SECTION,
    headline.SECTION,
    stages.SECTION,
    peers.SECTION,
    approximations.SECTION,
    hard_peers.SECTION,
    patterns.SECTION,
    distributions.SECTION,
    dtypes.SECTION,
    shapes.SECTION,
    instruction_sets.SECTION,
    certificate.SECTION,
    small_call.SECTION,
    enumeration.SECTION,
    diversity.SECTION,
)

__all__ = ["SECTIONS", "Section"]
