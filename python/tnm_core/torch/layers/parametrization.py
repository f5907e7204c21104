"""The parametrisation that masks the weight of a layer."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.cached_weight import CachedWeight, may_be_cached
from tnm_core.torch.layers.weight_axes import WeightAxes
from tnm_core.torch.tensors import is_sharded, local_mask, mask_like

# masked: gradients of pruned weights are zero. straight_through: they pass as if nothing were
# pruned. fading: the same, and pruned weights still count by `leak`. dense: nothing is pruned.
Mode = Literal["masked", "straight_through", "fading", "dense"]


class MaskedParametrization(nn.Module):
    """Shows the layer its weight with pruned entries as zeros; the dense weight is the parameter.

    In evaluation, where no gradient by the weight is wanted, it is masked once and kept, until the
    weight or the mask changes or `train` is called. What is written through ``weight.data``, or by
    the replay of a CUDA graph, is not noticed: call `eval` after it.

    Attributes
    ----------
    mask : torch.Tensor of bool, shape of the weight
        True where an entry is kept; part of the ``state_dict``.
    pattern : torch.Tensor of int64, shape (2,)
        n and m, or n and -m of a row-wise pattern; part of the ``state_dict``.
    mask_pattern : Pattern
        The same, as the mask's pattern.
    leak : torch.Tensor, 0-D
        By how much pruned entries still count in mode ``"fading"``.
    mode : {"masked", "straight_through", "fading", "dense"}
        What the layer sees and which gradients pass; set by what trains the masks.
    """

    mask: torch.Tensor
    pattern: torch.Tensor
    leak: torch.Tensor

    def __init__(self, mask: torch.Tensor, pattern: Pattern, axes: WeightAxes) -> None:
        super().__init__()
        self.axes = axes
        self.mask_pattern = pattern
        self.mode: Mode = "masked"
        self.backward_decay = 0.0
        self.register_buffer("mask", mask)
        self.register_buffer("pattern", _numbers(pattern))
        self.register_buffer("leak", torch.zeros((), device=mask.device), persistent=False)
        self._cached = CachedWeight()

    def set_pattern(self, pattern: Pattern) -> None:
        """Note that the mask obeys another pattern from now on."""
        self.mask_pattern = pattern
        self.pattern.copy_(_numbers(pattern))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight that the layer uses."""
        if self.mode == "dense":
            return weight
        mask = self.mask
        if not self.training and self.mode != "fading" and may_be_cached(weight, mask):
            return self._cached.masked(weight, mask)
        if is_sharded(weight):
            mask = mask_like(local_mask(mask, weight), weight)
        if self.backward_decay:
            weight = _DecayPruned.apply(weight, mask, self.backward_decay)  # type: ignore[no-untyped-call]
        if self.mode == "masked":
            return torch.where(mask, weight, 0.0)
        # What is subtracted is exactly 0 or the weight itself, so nothing is rounded.
        pruned = torch.where(mask, 0.0, weight.detach())
        if self.mode == "fading":
            pruned = pruned * (1.0 - self.leak)
        return weight - pruned

    def train(self, mode: bool = True) -> MaskedParametrization:
        """Choose between training and evaluation, and forget the masked weight."""
        self._cached.clear()
        return super().train(mode)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Let what is assigned to the layer's weight be the dense weight."""
        return weight

    def extra_repr(self) -> str:
        """Return pattern and mode, for ``print(model)``."""
        return f"{self.mask_pattern}, mode={self.mode!r}"

    def _apply(self, fn: Any, recurse: bool = True) -> MaskedParametrization:
        self._cached.clear()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if not self.pattern.is_meta:
            n, m = self.pattern.tolist()
            self.mask_pattern = Pattern(n, abs(m), transposable=m > 0)


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
        return gradient + torch.where(mask, 0.0, weight) * ctx.decay, None, None


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
