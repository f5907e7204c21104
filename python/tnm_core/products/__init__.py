"""Products with matrices whose zeros are left out."""

from __future__ import annotations

from tnm_core.products.matmul import matmul
from tnm_core.products.packed_arrays import PackedArrays, arrays_of_buffer, buffer_of_arrays
from tnm_core.products.packed_buffer import (
    Activation,
    BufferShape,
    check_buffer,
    describe_buffer,
    multiply_buffer,
    pack_buffer,
    unpack_buffer,
    update_buffer_,
)
from tnm_core.products.packed_matrix import PackedMatrix, TransposedPackedMatrix, pack
from tnm_core.products.packed_memory import multiply_memory

__all__ = [
    "Activation",
    "BufferShape",
    "PackedArrays",
    "PackedMatrix",
    "TransposedPackedMatrix",
    "arrays_of_buffer",
    "buffer_of_arrays",
    "check_buffer",
    "describe_buffer",
    "matmul",
    "multiply_buffer",
    "multiply_memory",
    "pack",
    "pack_buffer",
    "unpack_buffer",
    "update_buffer_",
]
