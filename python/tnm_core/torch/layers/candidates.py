"""Which layers of a model are made sparse, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from tnm_core.torch.layers.parametrization import masked_parametrization
from tnm_core.torch.layers.weight_axes import Layout, layout_of
from tnm_core.torch.tensors import is_sharded

__all__ = ["Candidate", "Names", "Selector", "candidates"]

# Shell patterns of layer names, or a function of a layer's name and the layer.
Names = str | Sequence[str] | Callable[[str, nn.Module], bool]


@dataclass(frozen=True)
class Candidate:
    """A layer with a weight matrix: how it is read, or why it is left alone."""

    name: str
    module: nn.Module
    kind: str
    shape: tuple[int, ...]
    verdict: Layout | str


class Selector:
    """Matches names against shell patterns or a function."""

    def __init__(self, argument: str, names: Names) -> None:
        self._call: Callable[[str, nn.Module], bool] | None = None
        self.globs: tuple[str, ...] = ()
        if callable(names):
            self._call = names
            return
        self.globs = (names,) if isinstance(names, str) else tuple(names)
        for glob in self.globs:
            if not isinstance(glob, str):
                raise TypeError(
                    f"{argument} holds a {type(glob).__name__}, expected shell patterns of layer "
                    "names, such as 'encoder.*', or a function of name and layer"
                )

    def matches(self, name: str, module: nn.Module) -> bool:
        """Whether a layer is meant."""
        if self._call is not None:
            return bool(self._call(name, module))
        return any(fnmatchcase(name, glob) for glob in self.globs)


def candidates(
    model: nn.Module,
    m: int,
    include: Selector | None,
    exclude: Selector,
    layers: tuple[type[nn.Module], ...],
) -> Iterator[Candidate]:
    """Judge every layer that has parameters of two axes or more."""
    users = _users_of_parameters(model)
    for name, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue
        kind = parametrize.type_before_parametrizations(module).__name__
        weight = _weight_of(module)
        if weight is None:
            for own, parameter in module.named_parameters(recurse=False):
                if _axes(parameter) > 1:
                    full = f"{name}.{own}" if name else own
                    reason = f"a parameter of {kind} that is not called weight"
                    yield Candidate(full, module, kind, tuple(parameter.shape), reason)
            continue
        if _axes(weight) < 2 and not isinstance(module, layers):
            continue
        shape = () if isinstance(weight, UninitializedParameter) else tuple(weight.shape)
        verdict = (
            _why_not(name, module, kind, include, exclude, layers)
            or _why_not_this_weight(module, weight, users)
            or layout_of(module, weight, m)
        )
        yield Candidate(name, module, kind, shape, verdict)


def _why_not(
    name: str,
    module: nn.Module,
    kind: str,
    include: Selector | None,
    exclude: Selector,
    layers: tuple[type[nn.Module], ...],
) -> str | None:
    if not isinstance(module, layers):
        return f"{kind} is not among layers="
    if include is not None and not include.matches(name, module):
        return "not matched by include="
    return "matched by exclude=" if exclude.matches(name, module) else None


def _why_not_this_weight(
    module: nn.Module, weight: torch.Tensor, users: dict[int, list[str]]
) -> str | None:
    masked = masked_parametrization(module)
    if masked is not None:
        return f"is {masked.n}:{masked.m} sparse already"
    if getattr(type(module), "tnm_masked_weight", False):
        return "is sparse already"
    if parametrize.is_parametrized(module, "weight"):
        return "its weight has another parametrisation; remove that first"
    if isinstance(weight, UninitializedParameter):
        return "its weight has no shape yet; run the model once first"
    if not isinstance(weight, nn.Parameter):
        return "its weight is computed and no parameter"
    sharing = users[id(weight)]
    if len(sharing) > 1:
        return f"its weight is shared ({' and '.join(sharing)})"
    if is_sharded(weight):
        return "its weight is sharded already; call sparsify_ before fully_shard"
    if weight.is_meta:
        return "its weight is on the device meta and has no data; load it first"
    if not weight.is_floating_point():
        return f"its weight has dtype {weight.dtype}, expected floating point"
    return None


def _weight_of(module: nn.Module) -> torch.Tensor | None:
    if parametrize.is_parametrized(module, "weight"):
        chain = cast(nn.ModuleDict, module.parametrizations)["weight"]
        if chain.is_tensor:
            return cast(torch.Tensor, chain.original)
    if isinstance(module, (nn.ParameterList, nn.ParameterDict)):
        return None
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, torch.Tensor) else None


def _axes(parameter: torch.Tensor) -> int:
    return 2 if isinstance(parameter, UninitializedParameter) else parameter.ndim


def _users_of_parameters(model: nn.Module) -> dict[int, list[str]]:
    users: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            users.setdefault(id(parameter), []).append(f"{name}.{own}" if name else own)
    return users
