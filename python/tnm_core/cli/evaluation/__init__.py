"""What ``tnm eval`` does, once its arguments are checked; needs torch."""

from __future__ import annotations

from tnm_core.cli.evaluation.perplexity import (
    PerplexityArguments,
    PerplexityReport,
    measure_perplexity,
)

__all__ = ["PerplexityArguments", "PerplexityReport", "measure_perplexity"]
