"""Replacing the layers of a model by ones with masks and packed weights."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.selection import Names, Selection
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.layers import (
    SharedMemory,
    check_can_change,
    check_not_distributed,
    left_by_default,
    replace_layer,
    unwrap,
    weight_rules,
)
from tnm_core.torch.linear.backends import BACKENDS, BackendName, as_backend_name
from tnm_core.torch.linear.conversion.conversion_report import ConversionReport, ConvertedLayer
from tnm_core.torch.linear.kinds import (
    RowWiseConv1D,
    RowWiseLinear,
    RowWisePointwise1d,
    RowWisePointwise2d,
    TransposableConv1D,
    TransposablePointwise1d,
    TransposablePointwise2d,
    matrix_layers,
    sides_of,
    skip_of_place,
)
from tnm_core.torch.linear.layer_benchmark import benchmark_layer
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.mask_checks import skip_without_tile
from tnm_core.torch.linear.masked_layer import MaskedLayer
from tnm_core.torch.linear.masked_linear import MaskedLinear
from tnm_core.torch.linear.speed_table import SpeedTable
from tnm_core.torch.linear.transposable_linear import TransposableLinear
from tnm_core.torch.linear.weight_layout import as_matrix


# What is made under inference mode, masks included, could never be trained.
@torch.inference_mode(False)
def to_sparse_linear_(
    model: nn.Module,
    pattern: PatternLike = "2:4",
    *,
    backend: BackendName = "auto",
    include: Names | None = None,
    exclude: Names | None = None,
    masks: Mapping[str, torch.Tensor] | None = None,
    compute_dtype: torch.dtype | None = None,
    masked_gradient: bool = False,
    tokens: int | None = None,
    speeds: SpeedTable | None = None,
) -> ConversionReport:
    """Replace linear layers by `TransposableLinear`, or `RowWiseLinear`, in place.

    Weights and biases stay the same Parameters, so optimizers that hold them go on. Convolutions
    with kernels of one position, and the ``Conv1D`` of transformers, become sparse layers of their
    own kind, which behave alike.

    Parameters
    ----------
    model : torch.nn.Module
        The model; it is left as it was if an error is raised.
    pattern : str, pair of int, or Pattern
        n of m are kept: ``"2:4"``, ``(2, 4)`` along rows and columns; ``"row 2:4"`` along the
        inputs of each output, where input gradients are dense products. Both leave layers alone
        that are smaller than one m x m tile.
    backend, compute_dtype, masked_gradient
        As for `TransposableLinear`.
    include, exclude : str, sequence of str, or function, optional
        Which of these layers: shell patterns of their names, or a function of a layer's name and
        the layer. By default all but embeddings, heads, routers and what else `tnm_core.weights`
        knows as no weight to prune; `masks` ask for layers, too. Subclasses are left alone.
    masks : mapping of module name to Tensor, optional
        Masks to use in place of the optimal ones of the weights' magnitudes.
    tokens : int, optional
        With ``backend="auto"``: measure each shape with so many tokens, and leave the dense
        product where the sparse one is not faster. Takes seconds per shape.
    speeds : SpeedTable, optional
        Measurements that ``"auto"`` consults; measurements made here are added to it.

    Returns
    -------
    ConversionReport
        What each layer with a matrix became, or why it was left alone; every other matrix, too.

    Raises
    ------
    TypeError, ValueError
        If the pattern, a name, the back end or a mask does not fit, no layer can be converted, one
        was made under `torch.inference_mode` (the message names it), or the model is wrapped by
        DistributedDataParallel.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import to_sparse_linear_
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Linear(32, 3))
    >>> report = to_sparse_linear_(model, "2:4", backend="dense")
    >>> print(report)
    1 layers at 2:4, 1 left alone
      0: 32 x 64, density 0.5000, dense (asked for)
      1: left alone: out_features is 3, expected at least m = 4 for one 4 x 4 tile
    """
    wanted = as_pattern(pattern)
    as_backend_name(backend)
    check_not_distributed(model, "to_sparse_linear_")
    model = unwrap(model)
    chosen, skips = _choose(model, wanted, backend, Selection(include, exclude), masks or {})
    _check_masks_are_used(masks, chosen, skips)
    if not chosen:
        reasons = "; ".join(f"{name or 'the model'}: {why}" for name, why in skips.items())
        raise ValueError(
            f"no layer to convert, expected one at least: {reasons or 'none has a matrix'}"
        )
    table = SpeedTable() if speeds is None else speeds
    built: dict[nn.Module, MaskedLayer] = {}
    for name, dense in chosen.items():
        if dense not in built:
            built[dense] = _sparse_form(dense, wanted)(
                dense,
                wanted,
                mask=None if masks is None else masks.get(name),
                backend=backend,
                compute_dtype=compute_dtype,
                masked_gradient=masked_gradient,
                name=name,
                speeds=table,
            )
    if tokens is not None:
        _measure(built.values(), table, tokens)
    for name, dense in chosen.items():
        replace_layer(model, name, built[dense])
    converted = {name: _converted(built[dense]) for name, dense in chosen.items()}
    return ConversionReport(str(wanted), converted, skips)


def _sparse_form(dense: nn.Module, pattern: Pattern) -> Callable[..., MaskedLayer]:
    """Return what builds a sparse layer around the Parameters of a dense one."""
    both = pattern.transposable
    if isinstance(dense, nn.Linear):
        return _linear_kind(pattern).from_linear
    if isinstance(dense, nn.Conv1d):
        return (TransposablePointwise1d if both else RowWisePointwise1d).from_dense
    if isinstance(dense, nn.Conv2d):
        return (TransposablePointwise2d if both else RowWisePointwise2d).from_dense
    return TransposableConv1D.from_dense if both else RowWiseConv1D.from_dense


def _linear_kind(pattern: Pattern) -> type[MaskedLinear]:
    return TransposableLinear if pattern.transposable else RowWiseLinear


def _choose(
    model: nn.Module,
    pattern: Pattern,
    backend: BackendName,
    selection: Selection,
    asked: Container[str],
) -> tuple[dict[str, nn.Module], dict[str, Skip]]:
    """List the layers to convert, under each of their names, and why others are left alone.

    What is no weight to prune by default is, if it is included or `asked` for.
    """
    layers, others = matrix_layers(model)
    for glob in selection.unmatched([*layers, *others]):
        raise ValueError(
            f"include {glob!r} matches no layer with a matrix, expected a glob over their names, "
            f"which are {', '.join(layers) or 'none'}"
        )
    memory, rules = SharedMemory(model), weight_rules(model)
    chosen: dict[str, nn.Module] = {}
    skips: dict[str, Skip] = {}
    for name, layer in layers.items():
        skip = selection.skip(name, layer) or _skip_of_module(model, name, layer)
        if skip is None and len(memory.users_of(cast(torch.Tensor, layer.weight))) > 1:
            skip = SkipCode.SHARED_UNMASKED()
        if skip is None and selection.by_default and name not in asked:
            skip = left_by_default(rules, name)
        skip = skip or _skip_of_shape(layer, pattern, backend)
        if skip is None:
            check_can_change(name, cast(torch.Tensor, layer.weight))
            chosen[name] = layer
        else:
            skips[name] = skip
    return chosen, {**skips, **others}


def _skip_of_module(model: nn.Module, name: str, layer: nn.Module) -> Skip | None:
    """Tell why a layer cannot be replaced as it stands in its model."""
    if isinstance(layer, MaskedLayer):
        return SkipCode.SPARSE_ALREADY()
    if parametrize.is_parametrized(layer):
        return SkipCode.PARAMETRIZED_LAYER()
    return skip_of_place(model, name, layer)


def _skip_of_shape(layer: nn.Module, pattern: Pattern, backend: BackendName) -> Skip | None:
    """Tell why a layer has no whole tile, or the back end can never multiply by it."""
    weight = cast(torch.Tensor, layer.weight)
    sides = sides_of(layer)
    skip = skip_without_tile(sides, pattern.m)
    if skip is not None or backend == "auto":
        return skip
    spec = LinearSpec(*sides, pattern, weight.device, weight.dtype)
    reason = BACKENDS[backend].unsupported_reason(spec)
    return None if reason is None else SkipCode.BACKEND_CANNOT(reason=reason)


def _check_masks_are_used(
    masks: Mapping[str, torch.Tensor] | None, chosen: dict[str, nn.Module], skips: dict[str, Skip]
) -> None:
    """Refuse masks for layers that are not converted: they would be dropped in silence."""
    for name in masks or {}:
        if name not in chosen:
            reason = skips.get(name, "there is no such layer")
            raise ValueError(f"masks has {name!r}, expected a layer to convert: {reason}")


def _measure(layers: Iterable[MaskedLayer], table: SpeedTable, tokens: int) -> None:
    """Measure each situation once, where "auto" would take the sparse product."""
    for layer in layers:
        if layer.backend == "auto" and layer.active_backend in ("cpu", "cusparselt"):
            spec = layer._spec(layer._packed_dtype())
            if table.find(spec, layer.active_backend) is None:
                table.add(benchmark_layer(_as_linear(layer), tokens).as_speed())
            layer.repack()


def _as_linear(layer: MaskedLayer) -> MaskedLinear:
    """Return a linear layer with the same products."""
    if isinstance(layer, MaskedLinear):
        return layer
    linear = nn.Linear(layer.in_features, layer.out_features, device="meta")
    weight = as_matrix(cast(torch.Tensor, layer.weight).detach(), layer.layout)
    linear.weight = nn.Parameter(weight.contiguous())
    linear.bias = cast(nn.Parameter, layer.bias)
    mask = as_matrix(layer.mask, layer.layout)
    return _linear_kind(layer.pattern).from_linear(
        linear,
        layer.pattern,
        mask=mask,
        backend=layer.backend,
        compute_dtype=layer.compute_dtype,
        masked_gradient=layer.masked_gradient,
    )


def _converted(layer: MaskedLayer) -> ConvertedLayer:
    shape = (layer.out_features, layer.in_features)
    mask = layer.mask
    density = float("nan") if mask.is_meta else int(mask.sum()) / max(1, mask.numel())
    return ConvertedLayer(shape, density, layer.active_backend, layer.backend_reason)
