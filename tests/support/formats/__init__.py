"""Formats of sparse weights, read as their descriptions say and without the package."""

from tests.support.formats.readers import (
    count_tiles,
    read_bitmask_weight,
    read_masks_of,
    read_packed_weight,
    read_safetensors,
)

__all__ = [
    "count_tiles",
    "read_bitmask_weight",
    "read_masks_of",
    "read_packed_weight",
    "read_safetensors",
]
