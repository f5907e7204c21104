"""Putting a mask on a layer, and what its class does from then on: copies, files, refusals."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern
from tnm_core.torch.layers.held_mask import note_right
from tnm_core.torch.layers.model_parts import full_name
from tnm_core.torch.layers.parametrization import (
    MaskedParametrization,
    masked_parameters,
    parametrizations_of_weight,
)
from tnm_core.torch.layers.plain_state import make_plain, take_plain, wants_plain_state
from tnm_core.torch.layers.weight_axes import WeightAxes
from tnm_core.torch.tensors import is_sharded


def register_mask(
    module: nn.Module,
    mask: torch.Tensor,
    pattern: Pattern,
    axes: WeightAxes,
    name: str = "weight",
    *,
    layer_name: str = "",
) -> None:
    """Put a mask on a parameter of a layer, which can still be copied and pickled."""
    mask_parameter(module, name, MaskedParametrization(mask, pattern, axes, layer_name))


def mask_parameter(module: nn.Module, name: str, masked: MaskedParametrization) -> None:
    """Let a parametrisation mask a parameter of a layer, one after another if need be."""
    training = module.training
    others, order = masked_parameters(module), tuple(module._parameters)
    masked.parameter_name = name
    masked.mask = _laid_out_like(masked.mask, getattr(module, name))
    note_right(masked, masked.mask)
    # Shape and dtype are the parameter's by construction; the check would run the forward.
    parametrize.register_parametrization(module, name, masked, unsafe=True)
    cast(nn.Module, module.parametrizations).train(training)
    chain = cast(nn.ModuleDict, module.parametrizations)[name]
    chain.__class__ = _MaskedChain
    if others:
        return
    copied = type(module).__deepcopy__  # type: ignore[attr-defined]

    def deepcopy(layer: nn.Module, memo: dict[int, Any]) -> Any:
        replica = copied(layer, memo)
        if type(replica) is type(layer):
            replica.__class__ = _class_like(type(layer))
        return replica

    module._parameters = _MaskedParameters(module._parameters, order)
    module.__class__ = _class_like(
        type(module),
        __reduce_ex__=_reduce,
        __copy__=_copy,
        __deepcopy__=deepcopy,
        state_dict=_state_dict,
        _load_from_state_dict=_load_from_state_dict,
        register_parameter=_register_parameter,
    )


def _laid_out_like(mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Give a mask the strides of its weight: what is masked gets those of the mask."""
    if is_sharded(weight) or mask.stride() == weight.stride():
        return mask
    return torch.empty_like(weight, dtype=torch.bool, requires_grad=False).copy_(mask)


def remove_mask(module: nn.Module, name: str) -> None:
    """Make the dense weight behind a mask the parameter of its layer again."""
    parametrize.remove_parametrizations(module, name, leave_parametrized=False)
    if not masked_parameters(module):
        module._parameters = _in_order(module._parameters)


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
    module._parameters = _in_order(module._parameters, weights)
    for name, (_, masked) in dense.items():
        mask_parameter(module, name, masked)


def _state_dict(
    module: nn.Module,
    *args: Any,
    destination: dict[str, Any] | None = None,
    prefix: str = "",
    keep_vars: bool = False,
) -> dict[str, Any]:
    """Save dense weights and masks; or masked weights, if a model without masks is to load them."""
    save = _inherited(module, "state_dict", _state_dict)
    if args or not wants_plain_state():
        more = {"destination": destination, "prefix": prefix, "keep_vars": keep_vars}
        return cast(dict[str, Any], save(*args, **({} if args else more)))
    state = save(prefix=prefix, keep_vars=keep_vars)
    make_plain(module, state, prefix)
    if destination is None:
        return cast(dict[str, Any], state)
    destination.update(state)
    getattr(destination, "_metadata", {}).update(state._metadata)
    return destination


def _load_from_state_dict(
    module: nn.Module, state: dict[str, Any], prefix: str, *others: Any
) -> None:
    """Load what `_state_dict` saved in either way."""
    take_plain(module, state, prefix, others[-1])
    load = _inherited(module, "_load_from_state_dict", _load_from_state_dict)
    load(state, prefix, *others)


def _register_parameter(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
    """Refuse what `torch.nn.utils.prune` makes of a masked weight."""
    masked = name.removesuffix("_orig")
    if masked != name and masked in masked_parameters(module):
        owner = _name_of(masked_parameters(module)[masked])
        raise ValueError(_refusal(owner, "torch.nn.utils.prune"))
    _inherited(module, "register_parameter", _register_parameter)(name, param)


def _inherited(module: nn.Module, name: str, method: Any) -> Any:
    """Return what a method of the class that was made for a layer stands before.

    Others, such as ``fully_shard``, may have derived a class from that.
    """
    made = next(kind for kind in type(module).__mro__ if vars(kind).get(name) is method)
    return getattr(super(made, module), name)


class _MaskedParameters(dict[str, Any]):
    """Parameters of a masked layer, without the masked ones; who takes those away is told so.

    `torch.nn.utils.weight_norm` and `torch.nn.utils.spectral_norm` would, and know no property.
    """

    def __init__(self, parameters: dict[str, Any], order: tuple[str, ...]) -> None:
        super().__init__(parameters)
        self.order = order

    def __reduce__(self) -> tuple[Any, ...]:
        return _MaskedParameters, (dict(self), self.order)

    def __missing__(self, name: str) -> Any:
        if name not in self.order:
            raise KeyError(name)
        raise ValueError(_refusal(name, "torch.nn.utils.weight_norm or spectral_norm"))

    def __delitem__(self, name: str) -> None:
        if name not in self:
            self.__missing__(name)
        super().__delitem__(name)


def _in_order(
    parameters: dict[str, Any], more: dict[str, nn.Parameter] | None = None
) -> dict[str, Any]:
    """Return parameters in the order before masks, by which optimizers number them."""
    found = {**parameters, **(more or {})}
    order = parameters.order if isinstance(parameters, _MaskedParameters) else ()
    return {name: found[name] for name in dict.fromkeys((*order, *found)) if name in found}


class _MaskedChain(parametrize.ParametrizationList):
    """The parametrisations of a masked weight, all of which have to keep its zeros."""

    def append(self, module: nn.Module) -> _MaskedChain:
        """Add one that is computed after the mask."""
        _check_keeps_zeros(self, module)
        return super().append(module)


@torch.no_grad()
def _check_keeps_zeros(chain: _MaskedChain, module: nn.Module) -> None:
    masked = cast(MaskedParametrization, chain[0])
    refusal = _refusal(_name_of(masked), type(module).__name__)
    mask, weight, training = masked.mask, chain(), module.training
    module.eval()
    try:
        result = module(weight)
    except Exception as error:
        raise ValueError(refusal) from error
    finally:
        module.train(training)
    zeros = ~mask & (weight == 0)
    if result.shape != weight.shape or not (mask.is_meta or bool((result[zeros] == 0).all())):
        raise ValueError(refusal)


def _name_of(masked: MaskedParametrization) -> str:
    return full_name(masked.layer_name, masked.parameter_name)


def _refusal(parameter: str, what: str) -> str:
    return (
        f"{parameter!r} is masked, on which {what} cannot stand, expected a dense parameter; call "
        "remove_sparsity_ first"
    )
