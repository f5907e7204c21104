"""Putting a mask on a layer, and how the layer is copied and pickled from then on."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.parametrization import MaskedParametrization, parametrizations_of_weight
from tnm_core.torch.layers.weight_axes import WeightAxes


def register_mask(
    module: nn.Module, mask: torch.Tensor, pattern: Pattern, axes: WeightAxes, layer_name: str = ""
) -> None:
    """Put a mask on the weight of a layer, which can still be copied and pickled."""
    parametrize_weight(module, MaskedParametrization(mask, pattern, axes, layer_name))


def parametrize_weight(module: nn.Module, masked: MaskedParametrization) -> None:
    """Let a parametrisation mask the weight of a layer."""
    training = module.training
    # Shape and dtype are the weight's by construction; the check would run the forward.
    parametrize.register_parametrization(module, "weight", masked, unsafe=True)
    cast(nn.Module, module.parametrizations).train(training)
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
    """Pickle a masked layer as its class, its attributes, its dense weight and its mask."""
    chain = parametrizations_of_weight(module)
    others = set(cast(nn.ModuleDict, module.parametrizations)) - {"weight"}
    if chain is None or len(chain) != 1 or others:
        raise RuntimeError(
            f"{type(module).__name__} has parametrisations beside the mask on its weight, which "
            "torch cannot pickle; save its state_dict()"
        )
    state = dict(module.__dict__)
    state["_modules"] = {k: v for k, v in module._modules.items() if k != "parametrizations"}
    base = type(module).__bases__[0]
    return _new, (base,), (state, chain.original, chain[0]), None, None, _set_state


def _new(base: type[nn.Module]) -> nn.Module:
    return base.__new__(base)


def _set_state(
    module: nn.Module, saved: tuple[dict[str, Any], nn.Parameter, MaskedParametrization]
) -> None:
    state, weight, masked = saved
    module.__dict__.update(state)
    module._parameters = {**module._parameters, "weight": weight}
    parametrize_weight(module, masked)
