"""Matrices as `torch.sparse.SparseSemiStructuredTensorCUTLASS`, made and read without a GPU.

Such a tensor holds ``packed``, two of every four entries, and ``meta``, which ones they are, in the
order of CUTLASS. Both are laid out by torch's own functions. What else torch can hold is made by
kernels on the GPU alone: the form of cuSPARSELt, whose layout is not published, and the forms with
a second copy for the transposed product in training (``packed_t``, ``meta_t``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.errors import CheckpointError

if TYPE_CHECKING:
    import torch

# Rows and columns come in multiples of these; float32 has the pattern 1:2 on GPUs.
ROWS, COLUMNS = 32, 64
DTYPES = ("float16", "bfloat16")
_PER_META = 16  # columns of one entry of meta
_CUSPARSELT = "SparseSemiStructuredTensorCUSPARSELT"
_CUTLASS = "SparseSemiStructuredTensorCUTLASS"


def trusted_globals() -> list[Any]:
    """List what a pickle of such tensors names: classes of tensors, and how torch rebuilds them."""
    import torch._utils

    names = (_CUTLASS, _CUSPARSELT)
    classes = [getattr(torch.sparse, name) for name in names if hasattr(torch.sparse, name)]
    return [*classes, *_rebuilders()]


def is_semi_structured(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is semi-structured, in whatever form."""
    import torch

    return isinstance(tensor, torch.sparse.SparseSemiStructuredTensor)


def dense_of(tensor: Any, label: str) -> torch.Tensor:
    """Return the matrix that a semi-structured tensor stands for; `CheckpointError` if damaged."""
    import torch

    reason = _why_unread(tensor)
    if reason is not None:
        raise CheckpointError(f"{label} {reason}")
    dense: torch.Tensor = _conversions().sparse_semi_structured_to_dense_cutlass(
        tensor.packed, tensor.meta
    )
    # Places of one group that are the same hide a value behind another.
    if int(torch.count_nonzero(dense)) != int(torch.count_nonzero(tensor.packed)):
        raise CheckpointError(f"{label} is damaged: values of one group share a place")
    return dense


def semi_structured_of(name: str, weight: NDArray[Any]) -> torch.Tensor:
    """Make the tensor of a matrix whose rows are 2:4, of a dtype and shape that fit."""
    import torch

    dense = torch_tensor_of(weight, name)
    packed, meta = _conversions().sparse_semi_structured_from_dense_cutlass(dense)
    kind = getattr(torch.sparse, _CUTLASS)
    tensor: torch.Tensor = kind(
        dense.shape,
        packed=packed,
        meta=meta,
        packed_t=None,
        meta_t=None,
        compressed_swizzled_bitmask=None,
    )
    if not torch.equal(dense_of(tensor, name), dense):
        raise CheckpointError(f"{name} does not come back from torch's semi-structured form")
    return tensor


def semi_structured_bytes(dense: int) -> int:
    """Tell how many bytes values and places of a matrix of so many bytes take."""
    return dense // 2 + dense // _PER_META


def torch_tensor_of(array: NDArray[Any], name: str) -> torch.Tensor:
    """Return an array as a tensor of its own memory; `CheckpointError` if torch lacks its dtype."""
    import torch

    dtype = getattr(torch, array.dtype.name, None)
    if not isinstance(dtype, torch.dtype):
        raise CheckpointError(f"{name} has dtype {array.dtype}, which torch lacks")
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    octets = torch.from_numpy(native.reshape(-1).view(np.uint8))
    return octets.view(dtype).reshape(array.shape)


def _why_unread(tensor: Any) -> str | None:
    """Tell why a tensor cannot be read, as the end of a sentence."""
    import torch

    if type(tensor).__name__ == _CUSPARSELT:
        return (
            "is semi-structured in the form of cuSPARSELt, which a GPU alone can read; expected "
            "that of CUTLASS, or save its to_dense()"
        )
    packed, meta = tensor.packed, tensor.meta
    if not isinstance(packed, torch.Tensor) or not isinstance(meta, torch.Tensor):
        return (
            "is semi-structured without packed and meta, as made for training; expected both: save "
            "its to_dense()"
        )
    plain = (type(packed), type(meta)) == (torch.Tensor, torch.Tensor)
    rows, columns = (*tensor.shape, 0, 0)[:2]
    shapes = ((rows, columns // 2), (rows, columns // _PER_META))
    fits = tensor.dim() == 2 and rows % ROWS == 0 and columns % COLUMNS == 0
    kinds = str(packed.dtype).removeprefix("torch.") in DTYPES and meta.dtype == torch.int16
    if not plain or not fits or (packed.shape, meta.shape) != shapes or not kinds:
        return (
            f"is semi-structured and damaged, or of another dtype than {' and '.join(DTYPES)}: "
            f"shape {tuple(tensor.shape)}, packed {packed.dtype} {tuple(packed.shape)}, meta "
            f"{meta.dtype} {tuple(meta.shape)}"
        )
    return None


def _conversions() -> Any:
    try:
        return importlib.import_module("torch.sparse._semi_structured_conversions")
    except ImportError:
        raise CheckpointError(
            "this version of torch has no torch.sparse._semi_structured_conversions, expected "
            "2.6 to 2.13: use another format"
        ) from None


def _rebuilders() -> list[Any]:
    import torch

    named = ((torch._utils, "_rebuild_wrapper_subclass"), (torch.serialization, "_get_layout"))
    return [getattr(module, name) for module, name in named if hasattr(module, name)]
