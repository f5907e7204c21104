"""The masked weights of a model, whichever way they are masked.

Two kinds of layers have one: those that `sparsify_` gave a parametrisation, and modules whose class
says ``tnm_masked_weight = True`` and that offer ``weight`` (the dense Parameter), ``mask`` (a
persistent bool buffer of its shape), ``pattern`` (what that obeys), ``weight_axes`` (how the weight
is read as a matrix), ``masked_gradient`` (whether gradients of pruned entries are zero),
``set_mask(mask, validate=False)``, which need not check masks that are right,
``repack_if_changed()``, to be called when weight or mask may have changed, and ``to_dense()``, an
ordinary layer with the same Parameters.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.held_mask import checked_mask, note_right
from tnm_core.torch.layers.model_parts import unwrap
from tnm_core.torch.layers.parametrization import (
    MaskedParametrization,
    Mode,
    masked_parameters,
    masked_parametrization,
    parametrizations_of_weight,
)
from tnm_core.torch.layers.weight_axes import WeightAxes
from tnm_core.torch.tensors import drop, keep_, local_mask, local_values

HookRole = Literal["masks", "decay"]


class MaskedWeight:
    """A layer's dense weight and its mask; here that of a layer that `sparsify_` masked.

    Attributes
    ----------
    name : str
        That of the layer, or of its parameter if that is not called ``weight``.
    module : torch.nn.Module
        The layer.
    parameter_name : str
        What the layer calls it.
    is_flexible : bool
        Whether the pattern can change, and the layer can be dense, fade and decay in backward.
    """

    is_flexible = True

    def __init__(self, name: str, module: nn.Module, parameter_name: str = "weight") -> None:
        self.name = name
        self.module = module
        self.parameter_name = parameter_name

    # Properties, because sharding and loading may replace parameters and buffers.
    @property
    def _masked(self) -> MaskedParametrization:
        found = masked_parametrization(self.module, self.parameter_name)
        assert found is not None
        return found

    @property
    def parameter(self) -> nn.Parameter:
        """The dense weight."""
        chain = parametrizations_of_weight(self.module, self.parameter_name)
        assert chain is not None
        return cast(nn.Parameter, chain.original)

    @property
    def mask(self) -> torch.Tensor:
        """The whole mask, True where an entry is kept; a ValueError if it breaks the pattern."""
        return self._masked.held_mask()

    @property
    def pattern(self) -> Pattern:
        """What the mask obeys."""
        return self._masked.mask_pattern

    @property
    def axes(self) -> WeightAxes:
        """How the weight is read as matrices."""
        return self._masked.axes

    @property
    def mode(self) -> Mode:
        """What the layer sees of its weight and which gradients pass."""
        return self._masked.mode

    def set_mode(self, mode: Mode, leak: float = 0.0) -> None:
        """Choose the mode, and by how much pruned entries still count in mode "fading"."""
        self._masked.set_mode(mode, leak)

    def set_mask(self, mask: torch.Tensor, pattern: Pattern | None = None) -> None:
        """Replace the mask, in place, by one that is right, and the pattern that it obeys."""
        self._masked.set_mask(mask, pattern)

    def set_backward_decay(self, decay: float) -> None:
        """Add decay * weight to the gradient of pruned entries in every backward pass."""
        self._masked.backward_decay = decay

    def after_step(self) -> None:
        """Take note that the weight has changed; nothing is derived from it here."""

    @torch.no_grad()
    def zero_pruned_(self) -> None:
        """Set the pruned entries of the dense weight, as far as they lie here, to zero."""
        mask = local_mask(self.mask, self.parameter)
        keep_(local_values(self.parameter), mask)
        self.after_step()

    @torch.no_grad()
    def counts_pruned(self) -> bool:
        """Whether the layer is dense now, with pruned entries, of those here, that are not zero."""
        if self.mode != "dense":
            return False
        values = local_values(self.parameter)
        return bool(drop(values, local_mask(self.mask, self.parameter)).any())

    @property
    def is_masked(self) -> bool:
        """Whether the layer still has the mask."""
        return masked_parametrization(self.module, self.parameter_name) is not None

    @property
    def holder(self) -> nn.Module:
        """What holds the mask; another one when the layer was made dense and masked again."""
        return self._masked

    def hook(self, role: HookRole) -> object | None:
        """Return what decides over the mask, or the decay, as long as it lives."""
        reference = vars(self.module).get(self._hook_key(role))
        return None if reference is None else reference()

    def set_hook(self, role: HookRole, hook: object | None) -> None:
        """Let this one decide from now on, or nobody."""
        # Kept in the layer, because a `MaskedWeight` is made for each look at it.
        vars(self.module)[self._hook_key(role)] = None if hook is None else _Hook(hook)

    def _hook_key(self, role: HookRole) -> str:
        return f"_{role}_hook_of_{self.parameter_name}"


class _Hook(weakref.ref[object]):
    """A reference that copies of a layer, and pickled layers, do not take with them."""

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


class _PackedWeight(MaskedWeight):
    """The weight of a module that keeps packed forms of it, all of one pattern."""

    is_flexible = False

    @property
    def is_masked(self) -> bool:
        return True

    @property
    def holder(self) -> nn.Module:
        return self.module

    # Any, because such modules are known by what they offer and not by their class.
    @property
    def _layer(self) -> Any:
        return self.module

    @property
    def parameter(self) -> nn.Parameter:
        return cast(nn.Parameter, self._layer.weight)

    @property
    def mask(self) -> torch.Tensor:
        owner, mask = f"layer {self.name!r}", cast(torch.Tensor, self._layer.mask)
        return checked_mask(self.module, mask, self.pattern, self.axes, owner)

    @property
    def pattern(self) -> Pattern:
        return cast(Pattern, self._layer.pattern)

    @property
    def axes(self) -> WeightAxes:
        return cast(WeightAxes, self._layer.weight_axes)

    @property
    def mode(self) -> Mode:
        return "masked" if self._layer.masked_gradient else "straight_through"

    def set_mode(self, mode: Mode, leak: float = 0.0) -> None:
        self._layer.masked_gradient = mode == "masked"

    def set_mask(self, mask: torch.Tensor, pattern: Pattern | None = None) -> None:
        self._layer.set_mask(mask, validate=False)
        note_right(self.module, self._layer.mask)

    def set_backward_decay(self, decay: float) -> None:
        raise TypeError(
            f"layer {self.name!r} is a {type(self.module).__name__} with gradients of its own, "
            "expected a weight that is_flexible"
        )

    def after_step(self) -> None:
        self._layer.repack_if_changed()


def masked_weights(model: nn.Module) -> Iterator[MaskedWeight]:
    """Iterate over the masked weights of a model, with the names of their layers."""
    for name, module in unwrap(model).named_modules():
        if getattr(type(module), "tnm_masked_weight", False):
            yield _PackedWeight(name, module)
            continue
        for own in masked_parameters(module):
            full = name if own == "weight" else f"{name}.{own}".removeprefix(".")
            yield MaskedWeight(full, module, own)


def sparse_layers(model: nn.Module) -> list[MaskedWeight]:
    """List the masked weights of a model that must have some."""
    weights = list(masked_weights(model))
    if not weights:
        raise ValueError(
            "the model has no sparse layers, expected some; call sparsify_ on it first"
        )
    return weights


def warn_where_dense(weights: Iterable[MaskedWeight], stacklevel: int) -> None:
    """Warn of layers that are dense now and are about to be masked, where that changes them."""
    found = [weight.name for weight in weights if weight.counts_pruned()]
    if found:
        others = f" and {len(found) - 1} more are" if len(found) > 1 else " is"
        warnings.warn(
            f"layer {found[0]!r}{others} dense at this step of training and masked from now on, "
            "without what the mask prunes; if the dense weights are wanted, call "
            "dense_state_dict(model) before",
            stacklevel=stacklevel + 1,
        )
