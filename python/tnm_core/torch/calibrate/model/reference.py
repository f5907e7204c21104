"""The dense model beside the one that is pruned."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import nn


def dense_reference(model: nn.Module, changing: Iterable[torch.Tensor]) -> nn.Module:
    """Copy a model, all but the parameters that stay as they are, which both models share.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    changing : iterable of torch.Tensor
        Its parameters that will change; whatever has memory in common with them is copied, too.
    """
    copied = {_memory(one) for one in changing}
    shared = {
        id(one): one for one in model.parameters() if _is_plain(one) and _memory(one) not in copied
    }
    # What deepcopy finds here it takes for copied already.
    return copy.deepcopy(model, dict(shared))


def _is_plain(parameter: nn.Parameter) -> bool:
    """Whether its memory can be told: not of sharded or quantised ones, and such without shape."""
    return type(parameter) is nn.Parameter and type(parameter.data) is torch.Tensor


def _memory(tensor: torch.Tensor) -> tuple[torch.device, int]:
    return tensor.device, tensor.untyped_storage().data_ptr()
