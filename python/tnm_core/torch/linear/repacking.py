"""Keeping packed forms up to date while an optimizer changes weights."""

from __future__ import annotations

from typing import Any
from weakref import finalize, ref

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.hooks import RemovableHandle

from tnm_core.torch.linear.packed_layer import PackedLayer
from tnm_core.torch.tensors import check_followable, unwrap_optimizer


def repack_(model: nn.Module) -> int:
    """Repack every `TransposableLinear`, `RowWiseLinear` and kin of a model; return their number.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import TransposableLinear, repack_
    >>> repack_(torch.nn.Sequential(TransposableLinear(16, 16), torch.nn.ReLU()))
    1
    """
    layers = _packed_layers(model)
    for layer in layers:
        layer.repack()
    return len(layers)


def repack_after_step(optimizer: torch.optim.Optimizer, model: nn.Module) -> RemovableHandle:
    """Repack a model's layers after every step of an optimizer.

    Eager forward passes find changed weights themselves; compiled ones rely on this. What changed
    is packed once, whatever else follows the steps: this comes after the hooks of the optimizer.

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

    Raises
    ------
    TypeError
        If `optimizer` is none whose steps run hooks, as some that wrap another.

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
    optimizer = unwrap_optimizer(optimizer)
    check_followable(optimizer)
    # The global hooks run last. This one must not keep the optimizer, which keeps the model.
    followed = ref(optimizer)

    def repack(stepped: torch.optim.Optimizer, *_: Any) -> None:
        if stepped is followed():
            for layer in _packed_layers(model):
                layer.repack_if_changed()

    handle = register_optimizer_step_post_hook(repack)
    finalize(optimizer, handle.remove).atexit = False
    return handle


def _packed_layers(model: nn.Module) -> list[PackedLayer]:
    return [module for module in model.modules() if isinstance(module, PackedLayer)]
