"""Models for inference on the CPU that keep nothing of sparse weights but their packed form."""

from __future__ import annotations

from tnm_core.torch.linear.inference.inference_report import InferenceReport, PackedWeight
from tnm_core.torch.linear.inference.pack_model import load_packed_, pack_for_inference_
from tnm_core.torch.linear.inference.packed_linear import PackedLinear, PackedPointwise

__all__ = [
    "InferenceReport",
    "PackedLinear",
    "PackedPointwise",
    "PackedWeight",
    "load_packed_",
    "pack_for_inference_",
]
