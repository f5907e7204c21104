"""Whether the mask that a module holds still obeys its pattern.

Averages of models, writes in place and files bring masks that are none. A mask that nobody changed
since it was found right costs a comparison of version counters, and a device is never asked.
"""

from __future__ import annotations

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.weight_axes import WeightAxes
from tnm_core.torch.tensors import Snapshot, is_capturing

_REMEDY = (
    "something wrote into it, such as an average of models; expected a mask of the pattern: "
    "load_masks_(model, masks(other)) takes those of one model, sparsify_ finds new ones"
)


def checked_mask(
    holder: nn.Module, mask: torch.Tensor, pattern: Pattern, axes: WeightAxes, owner: str
) -> torch.Tensor:
    """Return a module's mask, or raise if it breaks its pattern; a changed one is looked at once.

    Raises
    ------
    TypeError, ValueError
        If it is no tensor of bool, or breaks the pattern; the message names the `owner`.
    """
    if is_changed(holder, mask):
        check_mask_of(owner, mask, pattern, axes, _REMEDY)
        note_right(holder, mask)
    return mask


def is_changed(holder: nn.Module, mask: torch.Tensor) -> bool:
    """Tell whether a mask can be looked at and is not the one that was right, unchanged."""
    return is_readable(mask) and not is_known(holder, mask)


def check_mask_of(
    owner: str, mask: torch.Tensor, pattern: Pattern, axes: WeightAxes, remedy: str
) -> None:
    """Raise if a mask, whatever holds it, is not of bool or breaks the pattern."""
    if mask.dtype != torch.bool:
        raise TypeError(f"mask of {owner} has dtype {mask.dtype}, expected bool; {remedy}")
    violation = axes.violation(mask, pattern)
    if violation is not None:
        kind = "transposable" if pattern.transposable else "sparse"
        raise ValueError(f"mask of {owner} is not {pattern} {kind}: {violation}; {remedy}")


def is_readable(mask: torch.Tensor) -> bool:
    """Tell whether the entries of a mask can be looked at here and now."""
    if torch.compiler.is_compiling() or type(mask) is not torch.Tensor or mask.is_meta:
        return False
    return not (
        torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._get_tracing_state() is not None
        or is_capturing()
    )


def is_known(holder: nn.Module, mask: torch.Tensor) -> bool:
    """Tell whether this mask is the one that was right, unchanged."""
    known = vars(holder).get("_known_mask")
    return isinstance(known, _Known) and known.is_of(mask)


def note_right(holder: nn.Module, mask: torch.Tensor) -> None:
    """Remember that the mask of a module is right."""
    # In the module, so that it ends with it; what has no memory of its own is looked at each time.
    if is_readable(mask):
        vars(holder)["_known_mask"] = _Known(mask)


class _Known(Snapshot):
    """A mask that was right; copies and pickles of a module do not take it with them."""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()
