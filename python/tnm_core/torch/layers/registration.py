"""Putting a mask on a layer, and how the layer is copied and pickled from then on."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.parametrization import (
    MaskedParametrization,
    masked_parameters,
    parametrizations_of_weight,
)
from tnm_core.torch.layers.weight_axes import WeightAxes


def register_mask(
    module: nn.Module, mask: torch.Tensor, pattern: Pattern, axes: WeightAxes, name: str = "weight"
) -> None:
    """Put a mask on a parameter of a layer, which can still be copied and pickled."""
    mask_parameter(module, name, MaskedParametrization(mask, pattern, axes))


def mask_parameter(module: nn.Module, name: str, masked: MaskedParametrization) -> None:
    """Let a parametrisation mask a parameter of a layer, one after another if need be."""
    training = module.training
    others = masked_parameters(module)
    # Shape and dtype are the parameter's by construction; the check would run the forward.
    parametrize.register_parametrization(module, name, masked, unsafe=True)
    cast(nn.Module, module.parametrizations).train(training)
    if others:
        return
    copied = type(module).__deepcopy__  # type: ignore[attr-defined]

    def deepcopy(layer: nn.Module, memo: dict[int, Any]) -> Any:
        replica = copied(layer, memo)
        if type(replica) is type(layer):
            replica.__class__ = _class_like(type(layer))
        return replica

    module.__class__ = _class_like(
        type(module), __reduce_ex__=_reduce, __copy__=_copy, __deepcopy__=deepcopy
    )


def _class_like(made: type[nn.Module], **methods: Any) -> type[nn.Module]:
    """Make a class such as torch made for one parametrised layer, with other methods.

    Torch changes that class when parametrisations come and go, so copies must not share it as they
    do by default; and what it made refuses to be pickled.
    """
    members = {k: v for k, v in vars(made).items() if k not in ("__dict__", "__weakref__")}
    metaclass: Any = type(made)
    return cast(type[nn.Module], metaclass(made.__name__, made.__bases__, {**members, **methods}))


def _copy(module: nn.Module) -> nn.Module:
    """Make a layer that shares the dense weight and the mask, and nothing that holds them."""
    new, arguments, state, *_ = _reduce(module, 2)
    replica: nn.Module = new(*arguments)
    _set_state(replica, state)
    return replica


def _reduce(module: nn.Module, protocol: object) -> tuple[Any, ...]:
    """Pickle a masked layer as its class, its attributes, its dense weights and their masks."""
    masks = masked_parameters(module)
    chains = {
        name: parametrizations_of_weight(module, name)
        for name in cast(nn.ModuleDict, module.parametrizations)
    }
    if set(masks) != set(chains) or any(len(chain or ()) != 1 for chain in chains.values()):
        raise RuntimeError(
            f"{type(module).__name__} has parametrisations beside the masks on its weights, which "
            "torch cannot pickle; save its state_dict()"
        )
    state = dict(module.__dict__)
    state["_modules"] = {k: v for k, v in module._modules.items() if k != "parametrizations"}
    base = type(module).__bases__[0]
    dense = {name: (chain.original, masks[name]) for name, chain in chains.items() if chain}
    return _new, (base,), (state, dense), None, None, _set_state


def _new(base: type[nn.Module]) -> nn.Module:
    return base.__new__(base)


def _set_state(
    module: nn.Module,
    saved: tuple[dict[str, Any], dict[str, tuple[nn.Parameter, MaskedParametrization]]],
) -> None:
    state, dense = saved
    module.__dict__.update(state)
    weights = {name: weight for name, (weight, _) in dense.items()}
    module._parameters = {**module._parameters, **weights}
    for name, (_, masked) in dense.items():
        mask_parameter(module, name, masked)
