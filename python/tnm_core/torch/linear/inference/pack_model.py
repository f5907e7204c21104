"""Packing the sparse layers of a model for inference on the CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import torch
from torch import nn

from tnm_core.arguments import as_integer
from tnm_core.pattern import PatternLike, as_pattern
from tnm_core.selection import Names, Selection
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.layers import (
    SharedMemory,
    check_not_distributed,
    left_by_default,
    replace_layer,
    unwrap,
    weight_rules,
)
from tnm_core.torch.linear.backends import why_dense_is_faster
from tnm_core.torch.linear.inference.dense_weight import DenseWeight, dense_weight_of
from tnm_core.torch.linear.inference.inference_report import InferenceReport, PackedWeight
from tnm_core.torch.linear.inference.packed_linear import PackedLinear, PackedPointwise
from tnm_core.torch.linear.inference.saved_matrix import VALUES
from tnm_core.torch.linear.kinds import Kind, kind_of, matrix_layers, skip_of_place
from tnm_core.torch.linear.packed_buffers import DTYPES
from tnm_core.torch.linear.weight_layout import Layout

InferenceBackend = Literal["auto", "cpu"]


def pack_for_inference_(
    model: nn.Module,
    pattern: PatternLike | None = None,
    *,
    backend: InferenceBackend = "auto",
    include: Names | None = None,
    exclude: Names | None = None,
    masks: Mapping[str, torch.Tensor] | None = None,
    compute_dtype: torch.dtype | None = None,
    tokens: int | None = None,
) -> InferenceReport:
    """Keep nothing of a model's sparse weights but their packed form, in place, on the CPU.

    Linear layers, convolutions with kernels of one position and the ``Conv1D`` of transformers are
    replaced. Their dense weights are released, so that the model becomes smaller; it can no longer
    be trained, nor moved to another device.

    Parameters
    ----------
    model : torch.nn.Module
        For example a pruned one of ``from_pretrained``, or one that `sparsify_` or
        `to_sparse_linear_` masked.
    pattern : str, pair of int, or Pattern, optional
        Mask the weights that are not masked yet: the optimal mask of their magnitudes, transposable
        (``"2:4"``) or row-wise (``"row 2:4"``); those of embeddings, heads and the like stay dense
        unless they are included. By default what is zero is dropped, and nothing is searched for.
    backend : {"auto", "cpu"}
        ``"auto"`` leaves dense what is expected to be slower packed: too few zeros, or too small.
        ``"cpu"`` packs every layer.
    include, exclude : str, sequence of str, or function, optional
        Which layers: shell patterns of their names, or a function of a layer's name and the layer.
    masks : mapping of module name to Tensor of bool, optional
        Masks of any kind, of the weights' shapes, in place of the zeros.
    compute_dtype : torch.dtype, optional
        Pack in this dtype, and cast inputs to it and outputs back. By default that of the weight.
    tokens : int, optional
        How many tokens a product will have (sentences times their length; 1 where text is generated
        token by token), for ``"auto"``. By default a few. From 32 on, layers that keep up to three
        quarters are packed, too; with 1, float32 ones are only if the layers together have 8
        million entries, more than caches hold.

    Returns
    -------
    InferenceReport
        What each layer with a matrix became, or why it stays dense; and the model's size in memory.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or no layer can be packed. The model is unchanged then.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import pack_for_inference_
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.Linear(128, 3))
    >>> report = pack_for_inference_(model, "2:4")
    >>> list(report.packed), report.skipped["1"]
    (['0'], 'out_features is 3, expected at least m = 4 for one 4 x 4 tile')
    >>> model(torch.ones(5, 64)).shape
    torch.Size([5, 3])
    """
    _check_options(backend, compute_dtype)
    if tokens is not None:
        tokens = as_integer("tokens", tokens, least=1)
    wanted = None if pattern is None else as_pattern(pattern)
    check_not_distributed(model, "pack_for_inference_")
    model = unwrap(model)
    selection = Selection(include, exclude)
    layers, skips = _choose(model, selection)
    by_default, rules = selection.by_default, weight_rules(model)
    for name in masks or {}:
        if name not in layers:
            reason = skips.get(name, "there is no such layer")
            raise ValueError(f"masks has {name!r}, expected a layer to pack: {reason}")
    before = _bytes_of(model)
    weights: dict[str, DenseWeight] = {}
    for name, layer in layers.items():
        mask = None if masks is None else masks.get(name)
        found = dense_weight_of(name, layer, wanted, mask, compute_dtype)
        if isinstance(found, Skip):
            skips[name] = found
        else:
            weights[name] = found
    together = sum(math.prod(found.sides) for found in weights.values())
    for name, found in list(weights.items()):
        skip = _why_dense(found, backend, compute_dtype, tokens, together)
        if skip is None and by_default and found.is_to_be_pruned:
            skip = left_by_default(rules, name)
        if skip is not None:
            skips[name] = skip
            del weights[name]
    if not weights:
        reasons = "; ".join(f"{name or 'the model'}: {why}" for name, why in skips.items())
        raise ValueError(
            f"no layer to pack, expected one at least: {reasons or 'none has a matrix'}"
        )
    layers.clear()
    packed = _replace(model, weights, compute_dtype)
    return InferenceReport(packed, skips, before, _bytes_of(model))


def load_packed_(model: nn.Module, state: Mapping[str, Any], *, strict: bool = True) -> None:
    """Load what a model packed by `pack_for_inference_` saved, into a dense one, in place.

    Parameters
    ----------
    model : torch.nn.Module
        Of the same architecture, dense. What is packed in `state` is replaced; its weights are not
        read.
    state : mapping of str to Tensor
        The ``state_dict`` of the packed model.
    strict : bool
        As for `torch.nn.Module.load_state_dict`.

    Raises
    ------
    ValueError
        If a packed weight belongs to no layer of the model that could be packed.
    RuntimeError
        As `torch.nn.Module.load_state_dict` does.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import load_packed_, pack_for_inference_
    >>> model, other = (torch.nn.Sequential(torch.nn.Linear(64, 64)) for _ in range(2))
    >>> report = pack_for_inference_(model, "2:4")
    >>> load_packed_(other, model.state_dict())
    >>> bool((other[0].weight == model[0].weight).all())
    True
    """
    for key in state:
        if key.endswith(f".{VALUES}"):
            _make_room(model, key.removesuffix(f".{VALUES}"), state[key].dtype)
    model.load_state_dict(state, strict=strict)


def _check_options(backend: str, compute_dtype: torch.dtype | None) -> None:
    names = get_args(InferenceBackend)
    if backend not in names:
        raise ValueError(f"backend is {backend!r}, expected one of {', '.join(map(repr, names))}")
    if compute_dtype is not None and compute_dtype not in DTYPES.values():
        raise TypeError(
            f"compute_dtype is {compute_dtype!r}, expected torch.float32, torch.bfloat16 or "
            "torch.float16"
        )


def _choose(model: nn.Module, selection: Selection) -> tuple[dict[str, nn.Module], dict[str, Skip]]:
    """List the layers that can be packed in their places, and why others stay dense."""
    layers, skips = matrix_layers(model)
    for glob in selection.unmatched([*layers, *skips]):
        raise ValueError(
            f"include {glob!r} matches no layer with a matrix, expected a glob over their names, "
            f"which are {', '.join(layers) or 'none'}"
        )
    memory = SharedMemory(model)
    for name, layer in list(layers.items()):
        skip = selection.skip(name, layer) or skip_of_place(model, name, layer)
        own = (one for one in layer.parameters() if one is not layer.bias)
        if skip is None and any(len(memory.users_of(one)) > 1 for one in own):
            skip = SkipCode.SHARED_UNMASKED()
        if skip is not None:
            skips[name] = skip
            del layers[name]
    return layers, skips


def _why_dense(
    found: DenseWeight,
    backend: InferenceBackend,
    dtype: torch.dtype | None,
    tokens: int | None,
    together: int,
) -> Skip | None:
    if backend == "cpu":
        return None
    dtype = dtype or found.weight.dtype
    reason = why_dense_is_faster(found.sides, found.density, dtype, tokens, together)
    return None if reason is None else SkipCode.DENSE_IS_FASTER(reason=reason)


def _replace(
    model: nn.Module, weights: dict[str, DenseWeight], dtype: torch.dtype | None
) -> dict[str, PackedWeight]:
    """Replace one layer after another, and release its weight before the next one is packed."""
    made: dict[nn.Module, PackedLinear] = {}
    packed: dict[str, PackedWeight] = {}
    for name in list(weights):
        dense = weights.pop(name)
        layer = model.get_submodule(name)
        new = made.get(layer)
        if new is None:
            new = _packed_form(layer, dtype or dense.weight.dtype, name)
            new.casts = dtype is not None
            new.pack(dense.matrix, dense.mask())
            made[layer] = new
        packed[name] = _described(dense, new)
        replace_layer(model, name, new)
    return packed


def _packed_form(layer: nn.Module, dtype: torch.dtype, name: str) -> PackedLinear:
    """Make the layer that takes the place of a dense one, with nothing packed yet."""
    kind = kind_of(layer)
    shape = tuple(cast(torch.Tensor, layer.weight).shape)
    bias = cast("nn.Parameter | None", layer.bias)
    if kind is Kind.POINTWISE:
        stride = cast("tuple[int, ...]", layer.stride)
        new: PackedLinear = PackedPointwise(shape, bias, dtype, stride=stride, name=name)
    else:
        layout: Layout = "in_out" if kind is Kind.CONV1D else "out_in"
        new = PackedLinear(shape, bias, dtype, layout=layout, name=name)
    new.training = layer.training
    return new


def _make_room(model: nn.Module, name: str, dtype: torch.dtype) -> None:
    """Put a layer that has nothing packed yet in the place of a dense one."""
    try:
        layer = model.get_submodule(name)
    except AttributeError:
        raise ValueError(f"the state holds {name}.{VALUES}, expected a layer {name!r}") from None
    if isinstance(layer, PackedLinear):
        return
    kind = kind_of(layer)
    if not isinstance(kind, Kind):
        raise ValueError(f"layer {name!r} cannot be packed, expected one that can: {kind}")
    new = _packed_form(layer, dtype, name)
    new.casts = dtype != cast(torch.Tensor, layer.weight).dtype  # as by compute_dtype=
    replace_layer(model, name, new)


def _described(dense: DenseWeight, new: PackedLinear) -> PackedWeight:
    assert new.packed is not None
    dtype = str(new.dtype).removeprefix("torch.")
    shape = tuple(dense.weight.shape)
    return PackedWeight(shape, dense.density, dtype, dense.weight.nbytes, new.packed.nbytes)


def _bytes_of(model: nn.Module) -> int:
    """Add up what parameters and buffers take; what shares memory counts once."""
    tensors = {
        tensor.untyped_storage()._cdata: tensor
        for tensor in (*model.parameters(), *model.buffers())
    }
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors.values())
