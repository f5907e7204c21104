"""How masks and sparse weights are written in files, beside plain tensors."""

from __future__ import annotations

from tnm_core.checkpoint.formats.bitmask import (
    BITMASK,
    COMPRESSED,
    SHAPE,
    TWO_OF_FOUR,
    WEIGHT,
    BitmaskFile,
    bitmask_shapes,
    fill_two_of_four,
    is_bitmask_file,
)
from tnm_core.checkpoint.formats.mask_code import MaskCode, decode_mask, find_code
from tnm_core.checkpoint.formats.semi_structured import (
    dense_of,
    is_semi_structured,
    semi_structured_bytes,
    semi_structured_of,
    torch_tensor_of,
    trusted_globals,
)
from tnm_core.checkpoint.formats.stored_tensor import StoredTensor, write_tensors

__all__ = [
    "BITMASK",
    "COMPRESSED",
    "SHAPE",
    "TWO_OF_FOUR",
    "WEIGHT",
    "BitmaskFile",
    "MaskCode",
    "StoredTensor",
    "bitmask_shapes",
    "decode_mask",
    "dense_of",
    "fill_two_of_four",
    "find_code",
    "is_bitmask_file",
    "is_semi_structured",
    "semi_structured_bytes",
    "semi_structured_of",
    "torch_tensor_of",
    "trusted_globals",
    "write_tensors",
]
