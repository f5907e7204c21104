"""Measures of what a model is worth, to compare it before and after pruning."""

from __future__ import annotations

from tnm_core.torch.evaluate.perplexity import Perplexity, Window, perplexity, windows

__all__ = ["Perplexity", "Window", "perplexity", "windows"]
