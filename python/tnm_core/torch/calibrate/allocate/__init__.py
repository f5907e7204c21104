"""Patterns chosen for each layer under a budget."""

from __future__ import annotations

from tnm_core.torch.calibrate.allocate.allocation import (
    Assignment,
    allocate,
    check_additivity,
    pareto_front,
)
from tnm_core.torch.calibrate.allocate.output_loss import output_change
from tnm_core.torch.calibrate.allocate.sensitivity import (
    DENSE,
    ScannedLayer,
    Sensitivity,
    sensitivity_scan,
)

__all__ = [
    "DENSE",
    "Assignment",
    "ScannedLayer",
    "Sensitivity",
    "allocate",
    "check_additivity",
    "output_change",
    "pareto_front",
    "sensitivity_scan",
]
