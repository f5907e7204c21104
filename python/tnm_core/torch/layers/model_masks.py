"""Reading, loading and applying the masks of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parametrize

from tnm_core import arguments
from tnm_core.torch.layers.held_mask import check_mask_of
from tnm_core.torch.layers.masked_weights import (
    MaskedWeight,
    masked_weights,
    sparse_layers,
    warn_where_dense,
)
from tnm_core.torch.layers.model_parts import has_hooks, replace_layer, unwrap
from tnm_core.torch.layers.parametrization import parametrizations_of_weight
from tnm_core.torch.layers.registration import remove_mask
from tnm_core.torch.layers.shared_memory import SharedMemory
from tnm_core.torch.tensors import is_sharded

# Classes of layers that stand in the place of ordinary ones, and have to_dense().
_REPLACED = ("tnm_masked_weight", "tnm_packed_weight")


def masks(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of the masks of a model.

    Parameters
    ----------
    model : torch.nn.Module
        With layers that `sparsify_` masked.

    Returns
    -------
    dict of str to torch.Tensor of bool
        By name of the layer; each has the shape of the layer's whole weight, on its device. Empty
        if no layer is sparse.

    Raises
    ------
    ValueError
        If somebody wrote into a mask, so that it breaks its pattern.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import masks, sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8))
    >>> report = sparsify_(model, "2:4")
    >>> {name: tuple(mask.shape) for name, mask in masks(model).items()}
    {'0': (8, 8)}
    """
    return {weight.name: weight.mask.detach().clone() for weight in masked_weights(model)}


def load_masks_(model: nn.Module, masks: Mapping[str, torch.Tensor | NDArray[np.bool_]]) -> None:
    """Replace the masks of a model's sparse layers, in place, whatever they hold.

    Layers whose masks no `DynamicMask` or `StaticMask` of this model trains are masked by them from
    then on, also if they were copied while the original was dense.

    Parameters
    ----------
    model : torch.nn.Module
        With layers that `sparsify_` masked with the pattern that the masks obey.
    masks : mapping of str to tensor or array of bool
        One mask for every sparse layer, by name of the layer or of its weight: what `masks`
        returned, or `tnm_core.checkpoint.read_masks` read.

    Raises
    ------
    TypeError
        If a mask is not bool.
    ValueError
        If names or shapes are not those of the sparse layers, or a mask breaks its layer's pattern.
        No mask is replaced then.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import load_masks_, masks, sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8))
    >>> report = sparsify_(model, "2:4")
    >>> load_masks_(model, {"0.weight": ~masks(model)["0"]})
    """
    weights = {weight.name: weight for weight in sparse_layers(model)}
    given = {_layer_name(name, weights): _as_tensor(name, mask) for name, mask in masks.items()}
    _check_same_names(set(given), set(weights))
    for name, mask in given.items():
        _check_fit(weights[name], mask)
    for name, mask in given.items():
        weight = weights[name]
        weight.set_mask(mask)
        # A copy made in a dense phase stays dense else: what trained the original never sees it.
        if weight.is_flexible and weight.hook("masks") is None:
            weight.set_mode("masked")


def apply_masks_(model: nn.Module) -> None:
    """Set the pruned entries of the dense weights of a model to zero, in place.

    Parameters
    ----------
    model : torch.nn.Module
        With layers that `sparsify_` masked; sharded ones are no exception.

    Raises
    ------
    ValueError
        If a dense weight shares memory with another parameter or buffer. Nothing is changed then.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import apply_masks_, sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8))
    >>> report = sparsify_(model, "2:4")
    >>> apply_masks_(model)
    >>> int((model[0].parametrizations.weight.original == 0).sum())
    32
    """
    weights = list(masked_weights(model))
    _check_not_shared(model, weights)
    for weight in weights:
        weight.zero_pruned_()


@torch.inference_mode(False)
def remove_sparsity_(model: nn.Module) -> list[str]:
    """Make sparse layers ordinary layers, with masked weights, in place.

    Those are the layers that `sparsify_` masked, and those that `to_sparse_linear_` and
    `pack_for_inference_` put in the place of others.

    Parameters
    ----------
    model : torch.nn.Module
        Parameters stay the same objects, so that optimizers keep working; layers that were packed
        for inference get new ones. Detach what trains masks first: with layers that are masked no
        more, the next step of its optimizer raises. Where layers are dense at this step of their
        training, a warning says that they are not any more.

    Returns
    -------
    list of str
        Names of the layers, or of the parameters that are not called ``weight``.

    Raises
    ------
    ValueError
        If a weight is sharded, shares memory with another, has other parametrisations on top, or a
        mask that breaks its pattern; or a layer cannot be replaced, because it is the model itself
        or has hooks. The model is unchanged then.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import remove_sparsity_, sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8))
    >>> report = sparsify_(model, "2:4")
    >>> remove_sparsity_(model)
    ['0']
    >>> int((model[0].weight == 0).sum())
    32
    """
    model = unwrap(model)
    weights = list(masked_weights(model))
    for weight in weights:
        _check_removable(weight)
    _check_not_shared(model, weights)
    packed = _layers_to_replace(model)
    names = [weight.name for weight in weights if weight.is_flexible]
    warn_where_dense(weights, stacklevel=2)
    for weight in weights:
        if weight.is_flexible:
            weight.zero_pruned_()
            remove_mask(weight.module, weight.parameter_name)
    dense = {layer: layer.to_dense() for layer in set(packed.values())}
    for name, layer in packed.items():
        replace_layer(model, name, dense[layer])
    return [*names, *packed]


def drop_masks_(model: nn.Module) -> None:
    """Take the masks of `sparsify_` off a model again, and leave the dense weights as they are."""
    for weight in list(masked_weights(model)):
        if weight.is_flexible:
            remove_mask(weight.module, weight.parameter_name)


def _check_removable(weight: MaskedWeight) -> None:
    _ = weight.mask  # refuses a broken one
    if is_sharded(weight.parameter):
        raise ValueError(
            f"layer {weight.name!r} has a sharded weight, expected a whole one; load the "
            "checkpoint into a model that is not sharded and remove the masks there"
        )
    if len(parametrizations_of_weight(weight.module, weight.parameter_name) or ()) > 1:
        raise ValueError(
            f"layer {weight.name!r} has another parametrisation on its masked weight, "
            "expected the mask alone; remove that first"
        )


def _check_not_shared(model: nn.Module, weights: list[MaskedWeight]) -> None:
    """Refuse to write zeros into what others use without a mask."""
    memory = SharedMemory(unwrap(model)) if weights else None
    for weight in weights:
        users = () if memory is None else memory.users_of(weight.parameter)
        if len(users) > 1:
            raise ValueError(
                f"the weight of layer {weight.name!r} is shared ({' and '.join(users)}), expected "
                "memory of its own; clone one of them"
            )


def _layers_to_replace(model: nn.Module) -> dict[str, Any]:
    """List the layers that are no ordinary ones with a mask, under each of their names."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if not any(getattr(type(module), mark, False) for mark in _REPLACED):
            continue
        if not name:
            raise ValueError(
                f"the model is itself a {type(module).__name__}, expected one that holds it; call "
                "its to_dense()"
            )
        if has_hooks(module):
            raise ValueError(
                f"layer {name!r} has hooks, which would be lost, expected none; remove them first"
            )
        if name.rpartition(".")[2] == "_orig_mod":
            raise ValueError(
                f"layer {name!r} is compiled by torch.compile, which holds on to it, expected one "
                "that is not; take it out, and compile it afterwards"
            )
        if parametrize.is_parametrized(module):
            raise ValueError(
                f"layer {name!r} has parametrisations, expected its weight alone; remove them first"
            )
        found[name] = module
    return found


def _layer_name(name: str, weights: Mapping[str, MaskedWeight]) -> str:
    short = name.removesuffix("weight").removesuffix(".")
    return short if name not in weights and short in weights else name


def _as_tensor(name: str, mask: torch.Tensor | NDArray[np.bool_]) -> torch.Tensor:
    if isinstance(mask, torch.Tensor):
        return mask
    return torch.as_tensor(arguments.as_array(mask, f"mask {name!r}"))


def _check_same_names(given: set[str], sparse: set[str]) -> None:
    unknown, missing = sorted(given - sparse), sorted(sparse - given)
    if unknown:
        raise ValueError(
            f"there is a mask for {unknown[0]!r} ({len(unknown)} such), expected names of sparse "
            f"layers, such as {min(sparse)!r}; sparsify_ the same layers first"
        )
    if missing:
        raise ValueError(
            f"there is no mask for layer {missing[0]!r} ({len(missing)} such), expected one for "
            "every sparse layer"
        )


def _check_fit(weight: MaskedWeight, mask: torch.Tensor) -> None:
    shape = tuple(weight.parameter.shape)
    if tuple(mask.shape) != shape:
        raise ValueError(
            f"mask of layer {weight.name!r} has shape {tuple(mask.shape)}, expected {shape}; "
            "it belongs to another architecture"
        )
    if weight.axes.groups > 1 and mask.dtype == torch.bool:
        _check_groups(weight, mask)
    check_mask_of(
        f"layer {weight.name!r}",
        mask,
        weight.pattern,
        weight.axes,
        "sparsify_ the layer with the pattern of the mask",
    )


def _check_groups(weight: MaskedWeight, mask: torch.Tensor) -> None:
    """Refuse a mask that is right but for the groups of a convolution, which it does not know."""
    axes, pattern = weight.axes, weight.pattern
    without = replace(axes, groups=1)
    if axes.violation(mask, pattern) is None or without.violation(mask, pattern) is not None:
        return
    raise ValueError(
        f"mask of layer {weight.name!r} has {pattern.m} x {pattern.m} tiles across its "
        f"{axes.groups} groups of {mask.shape[0] // axes.groups} rows, expected tiles that end "
        "with each group; tnm prune does not see groups in a file: take the mask from sparsify_ or "
        "tnm calibrate, or prune with --exclude for this layer"
    )
