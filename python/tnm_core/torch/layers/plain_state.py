"""State dicts as models without masks have them: weights with zeros, and no masks beside them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import FrameType
from typing import Any

import torch
from torch import nn

from tnm_core.torch.layers.model_parts import unwrap
from tnm_core.torch.layers.parametrization import masked_parameters
from tnm_core.torch.tensors import is_sharded

_is_wanted: ContextVar[bool] = ContextVar("_is_wanted", default=False)


def dense_state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of a model as if it had no masks: its weights have zeros where they drop.

    A plain model of the same architecture loads it. ``save_pretrained`` of transformers and its kin
    writes the same, and needs no such call, unless it is given a ``state_dict=``: give it this one.

    Parameters
    ----------
    model : torch.nn.Module
        With layers that `sparsify_`, `to_sparse_linear_` or `pack_for_inference_` changed; it stays
        as it is.

    Returns
    -------
    dict of str to torch.Tensor
        The weights that layers compute with; other tensors share memory with the model.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import dense_state_dict, sparsify_
    >>> model, plain = (torch.nn.Sequential(torch.nn.Linear(8, 8)) for _ in range(2))
    >>> report = sparsify_(model, "2:4")
    >>> plain.load_state_dict(dense_state_dict(model))
    <All keys matched successfully>
    >>> int((plain[0].weight == 0).sum())
    32
    """
    with _wanting_plain_state():
        state: dict[str, torch.Tensor] = unwrap(model).state_dict()
    return state


def wants_plain_state() -> bool:
    """Tell whether the state that is being asked for is to be loaded by models without masks."""
    if _is_wanted.get():
        return True
    # Who saves in the way of Hugging Face asks for nothing but state_dict(), and the class that
    # loads the file knows no masks.
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "save_pretrained":
        frame = frame.f_back
    return frame is not None


@contextmanager
def _wanting_plain_state() -> Iterator[None]:
    token = _is_wanted.set(True)
    try:
        yield
    finally:
        _is_wanted.reset(token)


@torch.no_grad()
def make_plain(module: nn.Module, state: dict[str, Any], prefix: str) -> None:
    """Replace dense weights and masks of a masked layer, in its state, by masked weights."""
    for name in masked_parameters(module):
        hidden = _hidden(prefix, name)
        for key in [key for key in state if key.startswith(hidden)]:
            del state[key]
        state[f"{prefix}{name}"] = getattr(module, name).detach()


def take_plain(module: nn.Module, state: dict[str, Any], prefix: str, errors: list[str]) -> None:
    """Make of plain weights in a state what a masked layer loads.

    That is the dense weight and, where its zeros tell it, the mask.
    """
    for name, masked in masked_parameters(module).items():
        hidden = _hidden(prefix, name)
        if f"{prefix}{name}" not in state or f"{hidden}original" in state:
            continue
        weight = state[f"{hidden}original"] = state.pop(f"{prefix}{name}")
        if f"{hidden}0.mask" in state:
            continue
        find = partial(masked.axes.solve, pattern=masked.mask_pattern)
        mask = mask_of_zeros(f"{prefix}{name}", weight, masked.mask, find, errors)
        if mask is not None:
            state[f"{hidden}0.mask"], state[f"{hidden}0.pattern"] = mask, masked.pattern


@torch.no_grad()
def mask_of_zeros(
    name: str,
    weight: torch.Tensor,
    mask: torch.Tensor,
    find: Callable[[torch.Tensor], torch.Tensor],
    errors: list[str],
) -> torch.Tensor | None:
    """Return the mask of a weight that was saved without one; None if it was not masked.

    It is that of the layer, if it drops nothing but zeros, else what `find` finds, if that does.
    """
    if weight.shape != mask.shape or weight.is_meta or mask.is_meta or is_sharded(weight):
        return None
    kept = weight.detach() != 0
    if not bool((kept & ~mask.to(weight.device)).any()):
        return mask
    try:
        found = find(weight.detach())
    except ValueError as error:
        errors.append(f"{name}: no mask for it: {error}")
        return None
    return None if bool((kept & ~found).any()) else found


def _hidden(prefix: str, name: str) -> str:
    return f"{prefix}parametrizations.{name}."
