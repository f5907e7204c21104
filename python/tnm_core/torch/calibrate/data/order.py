"""In which order a model runs its layers, and which tensors meet where; found by running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.recording import Calibration, Call, record

__all__ = ["Group", "execution_groups", "find_residuals"]


@dataclass(frozen=True)
class Group:
    """Layers that get the same tensor, such as query, key and value.

    Attributes
    ----------
    names : tuple of str
        In the order of their calls.
    calls : int
        How often each is called in a run.
    """

    names: tuple[str, ...]
    calls: int


def execution_groups(
    model: nn.Module, calibration: Calibration, layers: Mapping[str, nn.Module]
) -> tuple[list[Group], Any]:
    """Return the layers in the order in which the model calls them, and the first batch.

    Raises
    ------
    ValueError
        If there is no batch, or one of the layers is never called.
    """
    found: dict[str, list[Call]] = {}
    first: Any = None
    seen = 0
    for batch in calibration.batches:
        first = batch if seen == 0 else first
        seen += 1
        calls = record(partial(calibration.forward, model, batch), layers, outputs=False)
        for name, made in calls.items():
            found.setdefault(name, made)
        if len(found) == len(layers):
            break
    if not seen:
        raise ValueError("calibration_loader holds no batch, expected at least one")
    missing = [name for name in layers if name not in found]
    if missing:
        raise ValueError(
            f"the calibration data never reach layer {missing[0]!r} ({len(missing)} such), "
            "expected every selected layer to be called; exclude it, or give data that use it"
        )
    groups: list[Group] = []
    latest: torch.Tensor | None = None
    for name, made in found.items():
        given = made[0].input if len(made) == 1 else None
        same = given is not None and given is latest
        if same and _together(layers[name], layers[groups[-1].names[-1]]):
            groups[-1] = Group((*groups[-1].names, name), 1)
        else:
            groups.append(Group((name,), len(made)))
        latest = given
    return groups, first


def _together(layer: nn.Module, other: nn.Module) -> bool:
    """Whether layers with the same input have the same statistics."""
    linear = isinstance(layer, nn.Linear) and isinstance(other, nn.Linear)
    return linear and (layer.bias is None) == (other.bias is None)


def find_residuals(
    model: nn.Module, calibration: Calibration, batch: Any, names: Sequence[str]
) -> dict[str, str]:
    """Find the layers whose output is added to an earlier tensor, and a module that gets that.

    An output y is on a residual stream if some later module gets y + r, where r is what an earlier
    module got. Compared at 64 positions.

    Returns
    -------
    dict of str to str
        By layer, the name of the module whose input is r.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    events: list[tuple[str, torch.Tensor]] = []  # inputs in order of the calls
    outputs: dict[str, tuple[int, torch.Tensor]] = {}

    def before(name: str) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = next(
                (a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)), None
            )
            if given is not None and given.is_floating_point():
                events.append((name, _fingerprint(given)))

        return hook

    def after(name: str) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, torch.Tensor):
                outputs[name] = (len(events), _fingerprint(output))

        return hook

    handles = [
        module.register_forward_pre_hook(before(name), with_kwargs=True)
        for name, module in modules.items()
    ]
    handles += [modules[name].register_forward_hook(after(name)) for name in names]
    try:
        with torch.no_grad():
            calibration.forward(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: source
        for name, (when, value) in outputs.items()
        if (source := _source(value, events[:when], events[when:])) is not None
    }


def _fingerprint(tensor: torch.Tensor) -> torch.Tensor:
    """Shape and values at some positions, which tell tensors of a run apart."""
    flat = tensor.detach().reshape(-1)
    picked = torch.linspace(0, max(flat.numel() - 1, 0), 64).long().to(flat.device)
    values = flat[picked].double().cpu() if flat.numel() else torch.zeros(64, dtype=torch.float64)
    shape = torch.tensor((*tensor.shape, *[0] * (6 - tensor.ndim)), dtype=torch.float64)
    return torch.cat((shape, values))


def _source(
    output: torch.Tensor,
    earlier: Sequence[tuple[str, torch.Tensor]],
    later: Sequence[tuple[str, torch.Tensor]],
) -> str | None:
    shape, value = output[:6], output[6:]
    sums = [z[6:] for _, z in later if torch.equal(z[:6], shape)]
    for name, r in reversed(earlier):
        if not torch.equal(r[:6], shape) or not bool(r[6:].any()):
            continue
        total = value + r[6:]
        near = 1e-5 * float(value.abs().max() + r[6:].abs().max())
        if any(float((total - z).abs().max()) <= near for z in sums):
            return name
    return None
