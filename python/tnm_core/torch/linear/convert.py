"""Replacing the linear layers of a model by `TransposableLinear`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.utils import parametrize

from tnm_core import arguments as arguments
from tnm_core.torch.linear.backends import BACKENDS, BackendName, Task, backend_name
from tnm_core.torch.linear.layer_benchmark import benchmark_layer
from tnm_core.torch.linear.mask_checks import check_tiles_fit
from tnm_core.torch.linear.sparse_linear import TransposableLinear
from tnm_core.torch.linear.speed_table import SpeedTable

Globs = str | Iterable[str] | None


@dataclass(frozen=True)
class ConvertedLayer:
    """What multiplies for one layer.

    Attributes
    ----------
    shape : tuple of int
        (out_features, in_features).
    density : float
        Share of weights that are kept.
    backend : str or None
        The back end at work; None while the one asked for cannot be used.
    reason : str
        Why that one.
    """

    shape: tuple[int, int]
    density: float
    backend: str | None
    reason: str


@dataclass(frozen=True)
class ConversionReport:
    """What `to_sparse_linear_` did, layer by layer; printing it gives a list.

    Attributes
    ----------
    pattern : str
        n:m.
    converted : dict of str to ConvertedLayer
        By module name.
    skipped : dict of str to str
        Linear layers that were left alone, with the reason.
    """

    pattern: str
    converted: dict[str, ConvertedLayer]
    skipped: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{len(self.converted)} layers at {self.pattern}, {len(self.skipped)} left alone"]
        for name, layer in self.converted.items():
            shape = " x ".join(map(str, layer.shape))
            active = layer.backend or "nothing yet"
            lines.append(f"  {name}: {shape}, density {layer.density:.4f}, {active}")
            lines[-1] += f" ({layer.reason})"
        lines.extend(f"  {name}: left alone: {reason}" for name, reason in self.skipped.items())
        return "\n".join(lines)


def to_sparse_linear_(
    model: nn.Module,
    pattern: str = "2:4",
    *,
    backend: BackendName = "auto",
    include: Globs = None,
    exclude: Globs = None,
    masks: Mapping[str, torch.Tensor] | None = None,
    compute_dtype: torch.dtype | None = None,
    masked_gradient: bool = False,
    tokens: int | None = None,
    speeds: SpeedTable | None = None,
) -> ConversionReport:
    """Replace linear layers by `TransposableLinear`, in place.

    Weights and biases stay the same Parameters, so optimizers that hold them go on.

    Parameters
    ----------
    model : torch.nn.Module
        The model; it is left as it was if an error is raised.
    pattern : str
        ``"n:m"``, n of m are kept.
    backend, compute_dtype, masked_gradient
        As for `TransposableLinear`.
    include, exclude : str or iterable of str, optional
        Globs over module names; by default all layers that are exactly `torch.nn.Linear`.
    masks : mapping of module name to Tensor, optional
        Masks to use in place of the optimal ones of the weights' magnitudes.
    tokens : int, optional
        With ``backend="auto"`` on a GPU: measure each shape with so many tokens, and leave the
        dense product where the sparse one is not faster. Takes seconds a shape.
    speeds : SpeedTable, optional
        Measurements that ``"auto"`` consults; measurements made here are added to it.

    Returns
    -------
    ConversionReport
        What each layer became, or why it was left alone.

    Raises
    ------
    TypeError, ValueError
        If the pattern, a glob, the back end or a mask does not fit, or no layer can be converted;
        the message names the layers.

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
    n, m = parse_pattern(pattern)
    backend_name(backend)
    layers = _linear_layers(model)
    chosen, skipped = _select(model, layers, _globs(include), _globs(exclude))
    chosen, unfit = _fitting(chosen, n, m, backend)
    skipped.update(unfit)
    _require_known(masks, chosen, skipped)
    if not chosen:
        reasons = "; ".join(f"{name or 'the model'}: {why}" for name, why in skipped.items())
        raise ValueError(
            f"no layer to convert, expected one at least: {reasons or 'none is Linear'}"
        )
    table = SpeedTable() if speeds is None else speeds
    built: dict[nn.Linear, TransposableLinear] = {}
    for name, linear in chosen.items():
        if linear not in built:
            built[linear] = TransposableLinear.from_linear(
                linear,
                n,
                m,
                None if masks is None else masks.get(name),
                backend=backend,
                compute_dtype=compute_dtype,
                masked_gradient=masked_gradient,
                name=name,
                speeds=table,
            )
    if tokens is not None:
        _measure(built.values(), table, tokens)
    for name, linear in chosen.items():
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, built[linear])
    converted = {name: _converted(built[linear]) for name, linear in chosen.items()}
    return ConversionReport(f"{n}:{m}", converted, skipped)


def parse_pattern(pattern: str) -> tuple[int, int]:
    """Read ``"n:m"``."""
    if not isinstance(pattern, str):
        raise TypeError(f"pattern is a {type(pattern).__name__}, expected text such as '2:4'")
    kept, colon, size = pattern.partition(":")
    if not (colon and kept.strip().isdecimal() and size.strip().isdecimal()):
        raise ValueError(f"pattern is {pattern!r}, expected 'n:m' such as '2:4': n of m are kept")
    return arguments.pattern(int(kept), int(size))


def _linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Every linear layer by name, under each of its names if it has several."""
    return {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, nn.Linear)
    }


def _select(
    model: nn.Module, layers: dict[str, nn.Linear], include: list[str], exclude: list[str]
) -> tuple[dict[str, nn.Linear], dict[str, str]]:
    """Layers to convert, and the others with the reason."""
    for glob in include:
        if not any(fnmatchcase(name, glob) for name in layers):
            raise ValueError(
                f"include {glob!r} matches no linear layer, expected a glob over their names, "
                f"which are {', '.join(layers) or 'none'}"
            )
    owners = Counter(
        id(parameter)
        for module in {id(module): module for module in model.modules()}.values()
        for parameter in module.parameters(recurse=False)
    )
    chosen: dict[str, nn.Linear] = {}
    skipped: dict[str, str] = {}
    for name, layer in layers.items():
        reason = _name_reason(name, include, exclude) or _module_reason(model, name, layer)
        if reason is None and owners[id(layer.weight)] > 1:
            reason = "its weight is shared with another module, which would use it without a mask"
        if reason is None:
            chosen[name] = layer
        else:
            skipped[name] = reason
    return chosen, skipped


def _name_reason(name: str, include: list[str], exclude: list[str]) -> str | None:
    if include and not any(fnmatchcase(name, glob) for glob in include):
        return "not matched by include"
    if any(fnmatchcase(name, glob) for glob in exclude):
        return "matched by exclude"
    return None


def _module_reason(model: nn.Module, name: str, layer: nn.Linear) -> str | None:
    if not name:
        return "the model is itself a linear layer: use TransposableLinear.from_linear"
    if isinstance(layer, TransposableLinear):
        return "is sparse already"
    if parametrize.is_parametrized(layer):
        return (
            "has parametrizations: remove them first, with leave_parametrized or remove_sparsity_"
        )
    if type(layer) is not nn.Linear:
        return f"is a {type(layer).__name__}, whose own code may read the weight without its mask"
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
        return "has hooks, which would be lost: remove them first"
    parent = model.get_submodule(name.rpartition(".")[0])
    if isinstance(parent, nn.TransformerEncoderLayer) and torch.backends.mha.get_fastpath_enabled():
        return (
            "the fast path of TransformerEncoderLayer reads the weight without its mask: call "
            "torch.backends.mha.set_fastpath_enabled(False) first"
        )
    return None


def _fitting(
    chosen: dict[str, nn.Linear], n: int, m: int, backend: BackendName
) -> tuple[dict[str, nn.Linear], dict[str, str]]:
    """Leave out layers without a whole tile, or that the back end can never multiply."""
    fitting: dict[str, nn.Linear] = {}
    unfit: dict[str, str] = {}
    for name, layer in chosen.items():
        shape = (layer.out_features, layer.in_features)
        task = Task(*shape, n, m, layer.weight.device, layer.weight.dtype)
        objection = None if backend == "auto" else BACKENDS[backend].objection(task)
        try:
            check_tiles_fit(shape, m, "")
        except ValueError as error:
            objection = str(error).removeprefix(": ").partition(";")[0]
        if objection is None:
            fitting[name] = layer
        else:
            unfit[name] = objection
    return fitting, unfit


def _require_known(
    masks: Mapping[str, torch.Tensor] | None,
    chosen: dict[str, nn.Linear],
    skipped: dict[str, str],
) -> None:
    """Refuse masks for layers that are not converted: they would be dropped in silence."""
    for name in masks or {}:
        if name not in chosen:
            reason = skipped.get(name, "there is no such linear layer")
            raise ValueError(f"masks has {name!r}, expected a layer to convert: {reason}")


def _measure(layers: Iterable[TransposableLinear], table: SpeedTable, tokens: int) -> None:
    """Measure each situation once, where "auto" would take the sparse product."""
    for layer in layers:
        if layer.backend == "auto" and layer.active_backend == "cusparselt":
            dtype = layer.packed_values.dtype
            shape = (layer.out_features, layer.in_features)
            task = Task(*shape, layer.n, layer.m, layer.weight.device, dtype)
            if table.find(task) is None:
                table.add(benchmark_layer(layer, tokens).as_speed())
            layer.repack()


def _converted(layer: TransposableLinear) -> ConvertedLayer:
    shape = (layer.out_features, layer.in_features)
    mask = layer.mask
    density = float("nan") if mask.is_meta else int(mask.sum()) / max(1, mask.numel())
    return ConvertedLayer(shape, density, layer.active_backend, layer.backend_reason)


def _globs(globs: Globs) -> list[str]:
    if globs is None:
        return []
    found = [globs] if isinstance(globs, str) else list(globs)
    for glob in found:
        if not isinstance(glob, str):
            raise TypeError(f"include or exclude holds a {type(glob).__name__}, expected globs")
    return found
