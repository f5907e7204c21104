"""Conversion of sparse checkpoints between formats."""

from __future__ import annotations

from tnm_core.cli.conversion.convert_report import print_converted
from tnm_core.cli.conversion.forms import Form, form_of
from tnm_core.cli.conversion.job import ConvertJob, weight_files
from tnm_core.cli.conversion.layers import choose_layers

__all__ = [
    "ConvertJob",
    "Form",
    "choose_layers",
    "form_of",
    "print_converted",
    "weight_files",
]
