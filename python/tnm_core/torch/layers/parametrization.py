"""The parametrisation that masks the weight of a layer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.cached_weight import CachedWeight, may_be_cached
from tnm_core.torch.layers.held_mask import checked_mask, is_changed, is_known, note_right
from tnm_core.torch.layers.loaded_mask import as_saved_pattern, check_loaded_mask
from tnm_core.torch.layers.weight_axes import WeightAxes
from tnm_core.torch.layers.write_watch import WriteWatch
from tnm_core.torch.tensors import drop, fade, is_sharded, keep, local_mask, mask_like

# masked: gradients of pruned weights are zero. straight_through: they pass as if nothing were
# pruned. fading: pruned weights still count by `leak`, and so do their gradients. dense: nothing is
# pruned.
Mode = Literal["masked", "straight_through", "fading", "dense"]


class MaskedParametrization(nn.Module):
    """Shows the layer its weight with pruned entries as zeros; the dense weight is the parameter.

    In evaluation, where no gradient by the weight is wanted, it is masked once and kept, until the
    weight or the mask changes or `train` is called. What is written through ``weight.data``, or by
    the replay of a CUDA graph, is not noticed: call `eval` after it.

    A mask that somebody changed is looked at before it is used or read, and refused if it breaks
    the pattern; so are masks in a ``state_dict``. Compiled graphs do not look.

    Attributes
    ----------
    mask : torch.Tensor of bool, shape of the weight
        True where an entry is kept; part of the ``state_dict``.
    pattern : torch.Tensor of int64, shape (2,)
        n and m, or n and -m of a row-wise pattern; part of the ``state_dict``.
    mask_pattern : Pattern
        The same, as the mask's pattern.
    leak : torch.Tensor, 0-D
        By how much pruned entries count: 0 if they are masked, 1 in mode ``"dense"``, less in mode
        ``"fading"``; part of the ``state_dict``.
    mode : {"masked", "straight_through", "fading", "dense"}
        What the layer sees and which gradients pass; set by what trains the masks.
    layer_name, parameter_name : str
        What errors call the layer, and what that calls its weight.
    """

    mask: torch.Tensor
    pattern: torch.Tensor
    leak: torch.Tensor

    def __init__(
        self, mask: torch.Tensor, pattern: Pattern, axes: WeightAxes, layer_name: str = ""
    ) -> None:
        super().__init__()
        self.layer_name, self.parameter_name = layer_name, "weight"
        self.axes = axes
        self.mask_pattern = pattern
        self.mode: Mode = "masked"
        self.backward_decay = 0.0
        self.register_buffer("mask", mask)
        self.register_buffer("pattern", _numbers(pattern))
        self.register_buffer("leak", torch.zeros((), device=mask.device))
        self._cached = CachedWeight()
        self._watch = WriteWatch()
        note_right(self, mask)

    @torch.no_grad()
    def set_mask(self, mask: torch.Tensor, pattern: Pattern | None = None) -> None:
        """Replace the mask, in place, by one that is right, and the pattern that it obeys."""
        was_right = is_known(self, self.mask)
        self.mask = self.mask.bool()  # the same tensor, unless its dtype was changed
        self.mask.copy_(mask)
        # What averaged the mask has averaged the pattern as well.
        if not was_right or pattern not in (None, self.mask_pattern):
            self._set_pattern(pattern or self.mask_pattern)
        note_right(self, self.mask)

    def set_mode(self, mode: Mode, leak: float = 0.0) -> None:
        """Choose the mode, and by how much pruned entries still count in mode ``"fading"``."""
        self.mode = mode
        self.leak.fill_(1.0 if mode == "dense" else leak)

    def held_mask(self) -> torch.Tensor:
        """Return the mask, or raise a ValueError if somebody made it break the pattern."""
        mask = self.mask
        if is_changed(self, mask):
            self._judge(mask)
        return mask

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight that the layer uses."""
        if torch.compiler.is_compiling():
            return self._masked(weight)
        self._refuse_lost_writes()
        if self.mode == "dense":
            return weight
        if not self.training and self.mode != "fading" and may_be_cached(weight, self.mask):
            return self._cached.masked(weight, self.held_mask())
        return self._watch.show(self._masked(weight))

    def _masked(self, weight: torch.Tensor) -> torch.Tensor:
        if self.mode == "dense":
            return weight
        mask = self.held_mask()
        if is_sharded(weight):
            mask = mask_like(local_mask(mask, weight), weight)
        if self.backward_decay:
            weight = _DecayPruned.apply(weight, mask, self.backward_decay)  # type: ignore[no-untyped-call]
        if self.mode == "masked":
            return keep(weight, mask)
        if self.mode == "fading":
            return fade(weight, mask, self.leak)
        # What is subtracted is exactly 0 or the weight itself, so nothing is rounded.
        return weight - drop(weight.detach(), mask)

    def train(self, mode: bool = True) -> MaskedParametrization:
        """Choose between training and evaluation, and forget the masked weight."""
        self._cached.clear()
        return super().train(mode)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Let what is assigned to the layer's weight be the dense weight."""
        # ``layer.weight += 1`` writes in place, and then assigns: nothing was lost.
        self._watch.found_write()
        self._cached.found_write()
        return weight

    def extra_repr(self) -> str:
        """Return pattern and mode, for ``print(model)``."""
        return f"{self.mask_pattern}, mode={self.mode!r}"

    def _apply(self, fn: Any, recurse: bool = True) -> MaskedParametrization:
        self._cached.clear()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]

    @property
    def _owner(self) -> str:
        shape = "x".join(map(str, self.mask.shape))
        return f"layer {self.layer_name!r}" if self.layer_name else f"a layer of {shape} weights"

    def _refuse_lost_writes(self) -> None:
        if self._watch.found_write() or self._cached.found_write():
            raise RuntimeError(
                f"something wrote into the masked weight of {self._owner}, which is computed at "
                "each look, so that nothing was changed (as reset_parameters, torch.nn.init or an "
                "adapter's merge do); expected writes under torch.no_grad() into the dense weight, "
                f"layer.parametrizations.{self.parameter_name}.original, or an assignment: "
                f"layer.{self.parameter_name} = values"
            )

    @torch.no_grad()
    def _judge(self, mask: torch.Tensor) -> None:
        """Look at a mask that was changed; perhaps in place, together with the saved pattern."""
        saved = as_saved_pattern(self.pattern)
        if saved is None or saved == self.mask_pattern or not self._obeys(mask, saved):
            checked_mask(self, mask, self.mask_pattern, self.axes, self._owner)
            saved = self.mask_pattern
        self._set_pattern(saved)
        note_right(self, mask)

    def _obeys(self, mask: torch.Tensor, pattern: Pattern) -> bool:
        return mask.dtype == torch.bool and self.axes.violation(mask, pattern) is None

    def _follow_leak(self) -> None:
        """Take the mode from a leak that was loaded."""
        if self.leak.is_meta:
            return
        leak = float(self.leak)
        if leak >= 1.0:
            self.mode = "dense"
        elif leak > 0.0:
            self.mode = "fading"
        elif self.mode in ("dense", "fading"):
            self.mode = "masked"

    def _set_pattern(self, pattern: Pattern) -> None:
        """Note that the mask obeys this pattern from now on."""
        self.mask_pattern = pattern
        self.pattern.copy_(_numbers(pattern))

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        # A broken mask is refused where it is loaded: memory that is yet to be filled is none.
        with suppress(TypeError, ValueError):
            self.held_mask()
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        try:
            pattern = check_loaded_mask(state_dict, prefix, self.mask, self.mask_pattern, self.axes)
        except (TypeError, ValueError) as error:
            others[-1].append(str(error))  # load_state_dict raises them together
            return
        if f"{prefix}leak" not in state_dict:
            # Older files have none; what comes with no mask either leaves the mode alone.
            known = f"{prefix}mask" not in state_dict
            state_dict[f"{prefix}leak"] = self.leak if known else torch.zeros_like(self.leak)
        super()._load_from_state_dict(state_dict, prefix, *others)
        self._follow_leak()
        if pattern is not None:
            note_right(self, self.mask)
        elif not self.pattern.is_meta:
            pattern = as_saved_pattern(self.pattern)
        self.mask_pattern = pattern or self.mask_pattern


def _numbers(pattern: Pattern) -> torch.Tensor:
    """Write a pattern as a buffer; the sign of m tells row-wise ones apart."""
    return torch.tensor((pattern.n, pattern.m if pattern.transposable else -pattern.m))


class _DecayPruned(torch.autograd.Function):
    """The identity, with decay * weight added to the gradient of pruned entries."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, mask: torch.Tensor, decay: float) -> torch.Tensor:
        ctx.save_for_backward(weight, mask)
        ctx.decay = decay
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        weight, mask = ctx.saved_tensors
        return gradient + drop(weight, mask) * ctx.decay, None, None


def parametrizations_of_weight(
    module: nn.Module, name: str = "weight"
) -> parametrize.ParametrizationList | None:
    """Return what computes the weight of a layer, or another parameter, if it is parametrised."""
    if not parametrize.is_parametrized(module, name):
        return None
    chain = cast(nn.ModuleDict, module.parametrizations)[name]
    return cast(parametrize.ParametrizationList, chain)


def masked_parametrization(module: nn.Module, name: str = "weight") -> MaskedParametrization | None:
    """Return the mask on the weight of a layer, or on another parameter, if it has one."""
    chain = parametrizations_of_weight(module, name)
    first = None if chain is None else chain[0]
    return first if isinstance(first, MaskedParametrization) else None


def masked_parameters(module: nn.Module) -> dict[str, MaskedParametrization]:
    """Return the masks on the parameters of a layer, by their names."""
    chains = getattr(module, "parametrizations", None)
    if not isinstance(chains, nn.ModuleDict) or not parametrize.is_parametrized(module):
        return {}
    found = {name: masked_parametrization(module, name) for name in chains}
    return {name: masked for name, masked in found.items() if masked is not None}
