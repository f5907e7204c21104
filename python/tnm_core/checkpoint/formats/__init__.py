"""How masks and sparse weights are written in files, beside plain tensors."""

from __future__ import annotations

from tnm_core.checkpoint.formats.mask_code import MaskCode, decode_mask, find_code

__all__ = ["MaskCode", "decode_mask", "find_code"]
