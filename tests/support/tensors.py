"""Arrays as torch tensors."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import torch


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """View an array as a tensor; NumPy has no bfloat16 of its own."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)
