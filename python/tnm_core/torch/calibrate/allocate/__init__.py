"""Patterns chosen for each layer under a budget."""

from __future__ import annotations

from tnm_core.torch.calibrate.allocate.allocation import (
    Assignment,
    ScannedLayer,
    allocate,
    output_change,
    sensitivity_scan,
)

__all__ = [
    "Assignment",
    "ScannedLayer",
    "allocate",
    "output_change",
    "sensitivity_scan",
]
