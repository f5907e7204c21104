"""Keeping packed forms up to date while an optimizer changes weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from tnm_core.torch.linear.transposable_linear import TransposableLinear


def repack_(model: nn.Module) -> int:
    """Repack every `TransposableLinear` of a model; return how many there are.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import TransposableLinear, repack_
    >>> repack_(torch.nn.Sequential(TransposableLinear(16, 16), torch.nn.ReLU()))
    1
    """
    layers = [module for module in model.modules() if isinstance(module, TransposableLinear)]
    for layer in layers:
        layer.repack()
    return len(layers)


def repack_after_step(optimizer: torch.optim.Optimizer, model: nn.Module) -> RemovableHandle:
    """Repack a model's layers after every step of an optimizer.

    Eager forward passes find changed weights themselves; compiled ones rely on this.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        What changes the weights.
    model : torch.nn.Module
        Its layers are looked up at every step.

    Returns
    -------
    RemovableHandle
        Its ``remove()`` ends this.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import TransposableLinear, repack_after_step
    >>> layer = TransposableLinear(16, 16, backend="emulate")
    >>> optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    >>> handle = repack_after_step(optimizer, layer)
    >>> layer(torch.ones(1, 16)).sum().backward()
    >>> optimizer.step()
    """

    def repack(*_: Any) -> None:
        repack_(model)

    return optimizer.register_step_post_hook(repack)
