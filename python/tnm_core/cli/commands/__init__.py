"""The commands of ``tnm``, one file each."""

from __future__ import annotations

from tnm_core.cli.commands.bench import bench_app
from tnm_core.cli.commands.calibrate import calibrate
from tnm_core.cli.commands.check import check
from tnm_core.cli.commands.convert import convert
from tnm_core.cli.commands.diversity import diversity
from tnm_core.cli.commands.evaluate import eval_app
from tnm_core.cli.commands.inspect import inspect
from tnm_core.cli.commands.plot import plot_app
from tnm_core.cli.commands.prune import prune

__all__ = [
    "bench_app",
    "calibrate",
    "check",
    "convert",
    "diversity",
    "eval_app",
    "inspect",
    "plot_app",
    "prune",
]
