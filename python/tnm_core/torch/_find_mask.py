"""Masks for tensors: the one place where layers ask for them."""

from __future__ import annotations

import numpy as np
import torch

import tnm_core as tnm


@torch.no_grad()
def find_mask(tensor: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """Find the optimal transposable n:m mask of a weight, on the weight's device."""
    host = tensor.detach().cpu()
    if host.dtype == torch.bfloat16:
        host = host.float()  # NumPy has no bfloat16, and float32 holds each of them exactly
    return torch.from_numpy(tnm.transposable_mask(np.asarray(host), n, m)).to(tensor.device)
