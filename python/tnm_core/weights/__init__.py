"""What is a weight: which tensors are pruned by default, how they lie, why others are left."""

from __future__ import annotations

from tnm_core.weights.layout import Layout
from tnm_core.weights.neighbours import TensorFacts
from tnm_core.weights.rules import WeightRules

__all__ = ["Layout", "TensorFacts", "WeightRules"]
