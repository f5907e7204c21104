"""What ``tnm bench model`` does, once its arguments are checked; needs torch."""

from __future__ import annotations

from tnm_core.cli.model_speed.generation import GenerationSpeed
from tnm_core.cli.model_speed.measure import SpeedArguments, measure_speed
from tnm_core.cli.model_speed.output_change import OutputChange
from tnm_core.cli.model_speed.speed_report import BatchSpeed, SpeedReport

__all__ = [
    "BatchSpeed",
    "GenerationSpeed",
    "OutputChange",
    "SpeedArguments",
    "SpeedReport",
    "measure_speed",
]
