"""Packed weights of the CPU as tensors of bytes, which share memory with what multiplies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tnm_core import arguments, products

# The dtypes that packed weights have, by the names that their buffers know.
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

# So many products cost as much as an entry of a mask, in which the work for a thread is counted.
_PRODUCTS_PER_ENTRY = 64


def pack_matrix(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Pack the kept entries of a matrix, of any strides, into one tensor of uint8."""
    buffer = products.pack_buffer(_lent(weight), _lent(mask), dtype=_NAMES.get(weight.dtype))
    return torch.from_numpy(buffer)


def update_matrix_(packed: torch.Tensor, weight: torch.Tensor) -> None:
    """Write other values into what `pack_matrix` returned; the mask stays."""
    products.update_buffer_(packed.numpy(), _lent(weight))
    # Written behind the back of autograd, which may have saved the tensor.
    torch.autograd.graph.increment_version(packed)


def multiply(
    rows: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None, out_features: int
) -> torch.Tensor:
    """Multiply rows (..., k) by the transpose of a packed matrix (out_features, k)."""
    if not (rows.is_cpu and (bias is None or bias.is_cpu)):
        raise ValueError(f"input or bias is on {rows.device}, expected both on the CPU")
    rows = rows.resolve_neg()  # a view may only say that its sign is another one
    shape = rows.shape
    result = rows.new_empty((*shape[:-1], out_features))
    tokens = rows.numel() // shape[-1]
    # Held here while its address is in use.
    offsets = None if bias is None else bias.float().resolve_neg().contiguous()
    products.multiply_memory(
        (packed.data_ptr(), packed.numel()),
        _NAMES[rows.dtype],
        (rows.data_ptr(), shape, rows.stride()),
        result.data_ptr(),
        out_features,
        bias=0 if offsets is None else offsets.data_ptr(),
        threads=_threads(tokens, packed.numel() // rows.element_size()),
    )
    return result


def rows_of(packed: torch.Tensor) -> int:
    """Tell how many rows a packed matrix has."""
    return products.describe_buffer(packed.numpy()).rows


def _threads(tokens: int, kept: int) -> int:
    """Use as many threads as torch does, or fewer where the work is not worth them."""
    most = torch.get_num_threads()
    if most == 1:
        return 1
    return min(most, arguments.as_threads(None, tokens * kept // _PRODUCTS_PER_ENTRY))


def unpack_matrix(packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the matrix with its zeros, and the mask."""
    values, mask = products.unpack_buffer(packed.numpy())
    return torch.from_numpy(values).view(dtype_of(packed)), torch.from_numpy(mask)


def dtype_of(packed: torch.Tensor) -> torch.dtype:
    """Tell the dtype of the values in a packed matrix."""
    return DTYPES[products.describe_buffer(packed.numpy()).dtype]


def _lent(tensor: torch.Tensor) -> NDArray[Any]:
    # Not tensor.numpy(): what has lent its memory that way cannot be resized, and FSDP resizes
    # weights.
    return np.from_dlpack(_viewed(tensor.detach().resolve_neg()))


def _viewed(tensor: torch.Tensor) -> torch.Tensor:
    """NumPy has no bfloat16: show its bits."""
    return tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
