"""What ``tnm calibrate`` does, once its arguments are checked; needs torch."""

from __future__ import annotations

from tnm_core.cli.calibration.job import identity, prune_
from tnm_core.cli.calibration.kept_run import KeptRun
from tnm_core.cli.calibration.masks_and_sizes import sizes_of
from tnm_core.cli.calibration.plan import CalibrationPlan, pattern_spec
from tnm_core.cli.calibration.result import CalibrationResult
from tnm_core.cli.calibration.source import CalibrateArguments, open_source

__all__ = [
    "CalibrateArguments",
    "CalibrationPlan",
    "CalibrationResult",
    "KeptRun",
    "identity",
    "open_source",
    "pattern_spec",
    "prune_",
    "sizes_of",
]
