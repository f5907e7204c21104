"""Replacing dense layers of a model by sparse ones that can be trained."""

from __future__ import annotations

from tnm_core.torch.linear.conversion.conversion_report import ConversionReport, ConvertedLayer
from tnm_core.torch.linear.conversion.convert import to_sparse_linear_

__all__ = ["ConversionReport", "ConvertedLayer", "to_sparse_linear_"]
