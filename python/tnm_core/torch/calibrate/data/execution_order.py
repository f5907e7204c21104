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


def execution_groups(
    model: nn.Module, calibration: Calibration, layers: Mapping[str, nn.Module]
) -> tuple[list[Group], Any]:
    """Return the layers in the order in which the model calls them, and the first batch."""
    found: dict[str, list[Call]] = {}
    first: Any = None
    seen = 0
    for seen, batch in enumerate(calibration.batches, 1):
        first = batch if seen == 1 else first
        calls = record(partial(calibration.forward, model, batch), layers, outputs=False)
        for name, made in calls.items():
            found.setdefault(name, made)
        if len(found) == len(layers):
            return _groups(found, layers), first
    if not seen:
        raise ValueError("batches holds no batch, expected at least one")
    missing = [name for name in layers if name not in found]
    raise ValueError(
        f"the calibration data never reach layer {missing[0]!r} ({len(missing)} such), "
        "expected every selected layer to be called; exclude it, or give data that use it"
    )


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
