"""In which order a model runs its layers, and which get the same input; found by running it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.layer_matrices import has_own_code
from tnm_core.torch.calibrate.data.own_products import Product, watching
from tnm_core.torch.calibrate.data.recording import given_tensor
from tnm_core.torch.tensors import version_of

_Layers = Mapping[str, nn.Module]


@dataclass(frozen=True)
class Group:
    """Layers that get the same tensor, such as query, key and value, in order."""

    names: tuple[str, ...]
    calls: int  # of each, in a run


@dataclass(frozen=True)
class Order:
    """Layers as a model calls them, and the first batch.

    Left out of the groups are those that no data reach, and those of `own_products`, whose own code
    multiplies by something else than their weight or in a way that is not watched.
    """

    groups: list[Group]
    unreached: tuple[str, ...]
    own_products: tuple[str, ...]
    batch: Any

    @property
    def skips(self) -> dict[str, Skip]:
        """Why layers are left out, by name."""
        return why_left_out(self.unreached, self.own_products)


def why_left_out(unreached: Iterable[str], own_products: Iterable[str]) -> dict[str, Skip]:
    """Return the reason of each layer that calibration data say nothing of."""
    own = dict.fromkeys(own_products, SkipCode.OWN_PRODUCT())
    return dict.fromkeys(unreached, SkipCode.NEVER_CALLED()) | own


def execution_order(model: nn.Module, calibration: Calibration, layers: _Layers) -> Order:
    """Run a model until each layer has got a row, or batches have come to an end.

    No tensor is kept but the latest: a language model's inputs of all layers take gigabytes.
    """
    found: dict[str, _Calls] = {}
    order: list[str] = []
    first: Any = None
    seen = 0
    trace = _Trace({name: layer for name, layer in layers.items() if has_own_code(layer)})
    for seen, batch in enumerate(calibration.batches, 1):
        first = batch if seen == 1 else first
        calls = trace.of_run(model, calibration, batch, layers)
        made_some = {name: made for name, made in calls.items() if made.with_rows}
        _merge(order, list(made_some))
        for name, made in made_some.items():
            found.setdefault(name, made)
        if len(found) == len(layers):
            break
    if not seen:
        raise ValueError("batches holds no batch, expected at least one")
    own = tuple(name for name in order if not found[name].multiplied)
    _check_some_are_met(len(found), own, list(layers))
    unreached = tuple(name for name in layers if name not in found)
    calls = {name: found[name] for name in order if name not in own}
    return Order(_groups(calls, layers), unreached, own, first)


def _check_some_are_met(found: int, own: Sequence[str], names: Sequence[str]) -> None:
    if not found:
        raise ValueError(
            f"the calibration data reach none of the {len(names)} selected layers "
            f"({_some(names)}), expected a model that calls some of them; where its own code reads "
            "their weights, use sparsify_"
        )
    if len(own) == found:
        raise ValueError(
            f"none of the {len(own)} layers that the calibration data reach ({_some(own)}) "
            f"multiplies by its weight, expected some that do; of each: {SkipCode.OWN_PRODUCT()}"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")


@dataclass
class _Calls:
    """How often a layer is called in a run, whether with rows, and with which tensor.

    `tensor` is a number that calls with one tensor in a row share; 0 for none. `multiplied` says
    whether the weight was multiplied by, which is known of layers without code of their own.
    """

    tensor: int
    multiplied: bool
    count: int = 0
    with_rows: bool = False


@dataclass
class _Trace:
    """The calls of layers in a run, in order; of tensors, the latest alone is kept."""

    own: _Layers  # those with code of their own
    calls: dict[str, _Calls] = field(default_factory=dict)
    latest: torch.Tensor | None = None
    version: int = 0  # of the latest, which a model may write into
    number: int = 0

    def add(self, name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = given_tensor(args, kwargs)
        has_rows = given is None or given.numel() > 0
        version = 0 if given is None else version_of(given)
        if has_rows and (given is not self.latest or version != self.version):
            self.latest, self.version, self.number = given, version, self.number + 1
        number = self.number if has_rows and given is not None else 0
        made = self.calls.setdefault(name, _Calls(number, name not in self.own))
        made.count += 1
        made.with_rows |= has_rows

    def multiplied(self, name: str, _: Product) -> None:
        self.calls[name].multiplied = True

    @torch.no_grad()
    def of_run(
        self, model: nn.Module, calibration: Calibration, batch: Any, layers: _Layers
    ) -> dict[str, _Calls]:
        """Return the calls of one more run, by layer in order; its tensors have new numbers."""
        self.calls, self.latest = {}, None
        with ExitStack() as hooks:
            for name, layer in layers.items():
                hook = partial(self.add, name)
                hooks.enter_context(layer.register_forward_pre_hook(hook, with_kwargs=True))
            hooks.enter_context(watching(self.own, self.multiplied))
            calibration.forward(model, batch)
        return self.calls


def _merge(order: list[str], names: list[str]) -> None:
    """Insert names that a later batch calls first, such as those of experts, where they belong."""
    place = 0
    for name in names:
        if name in order:
            place = order.index(name) + 1
        else:
            order.insert(place, name)
            place += 1


def _groups(calls: Mapping[str, _Calls], layers: _Layers) -> list[Group]:
    """Put layers together that are called one after the other with the same tensor."""
    groups: list[Group] = []
    latest = 0
    for name, made in calls.items():
        given = made.tensor if made.count == 1 else 0
        same = given != 0 and given == latest
        if same and _have_same_statistics(layers[name], layers[groups[-1].names[-1]]):
            groups[-1] = Group((*groups[-1].names, name), 1)
        else:
            groups.append(Group((name,), made.count))
        latest = given
    return groups


def _have_same_statistics(layer: nn.Module, other: nn.Module) -> bool:
    """Whether two layers with the same input can be one least-squares problem."""
    linear = isinstance(layer, nn.Linear) and isinstance(other, nn.Linear)
    return linear and (layer.bias is None) == (other.bias is None)
