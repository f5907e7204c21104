"""In which order a model runs its layers, and which get the same input; found by running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.recording import Call, record


@dataclass(frozen=True)
class Group:
    """Layers that get the same tensor, such as query, key and value, in order."""

    names: tuple[str, ...]
    calls: int  # of each, in a run


@dataclass(frozen=True)
class Order:
    """Layers as a model calls them, those that no data reach, and the first batch."""

    groups: list[Group]
    unreached: tuple[str, ...]
    batch: Any


def execution_order(
    model: nn.Module, calibration: Calibration, layers: Mapping[str, nn.Module]
) -> Order:
    """Run a model until each layer has got a row, or batches have come to an end."""
    found: dict[str, list[Call]] = {}
    order: list[str] = []
    first: Any = None
    seen = 0
    for seen, batch in enumerate(calibration.batches, 1):
        first = batch if seen == 1 else first
        calls = record(partial(calibration.forward, model, batch), layers, outputs=False)
        made_some = {name: made for name, made in calls.items() if any(map(_has_rows, made))}
        _merge(order, list(made_some))
        for name, made in made_some.items():
            found.setdefault(name, made)
        if len(found) == len(layers):
            break
    if not seen:
        raise ValueError("batches holds no batch, expected at least one")
    if not found:
        some = ", ".join(map(repr, list(layers)[:3]))
        raise ValueError(
            f"the calibration data reach none of the {len(layers)} selected layers ({some}"
            f"{', ...' if len(layers) > 3 else ''}), expected a model that calls some of them; "
            "where its own code reads their weights, use sparsify_"
        )
    unreached = tuple(name for name in layers if name not in found)
    return Order(_groups({name: found[name] for name in order}, layers), unreached, first)


def _has_rows(call: Call) -> bool:
    return call.input is None or call.input.numel() > 0


def _merge(order: list[str], names: list[str]) -> None:
    """Insert names that a later batch calls first, such as those of experts, where they belong."""
    place = 0
    for name in names:
        if name in order:
            place = order.index(name) + 1
        else:
            order.insert(place, name)
            place += 1


def _groups(calls: Mapping[str, list[Call]], layers: Mapping[str, nn.Module]) -> list[Group]:
    """Put layers together that are called one after the other with the same tensor."""
    groups: list[Group] = []
    latest: torch.Tensor | None = None
    for name, made in calls.items():
        given = made[0].input if len(made) == 1 else None
        same = given is not None and given is latest
        if same and _have_same_statistics(layers[name], layers[groups[-1].names[-1]]):
            groups[-1] = Group((*groups[-1].names, name), 1)
        else:
            groups.append(Group((name,), len(made)))
        latest = given
    return groups


def _have_same_statistics(layer: nn.Module, other: nn.Module) -> bool:
    """Whether two layers with the same input can be one least-squares problem."""
    linear = isinstance(layer, nn.Linear) and isinstance(other, nn.Linear)
    return linear and (layer.bias is None) == (other.bias is None)
