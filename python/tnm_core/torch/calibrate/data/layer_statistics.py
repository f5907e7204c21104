"""Statistics of a dense model's layers, collected in one pass; saved and loaded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.selection import Names, Selection
from tnm_core.torch.calibrate.data.collect import attended
from tnm_core.torch.calibrate.data.layer_matrices import (
    Geometry,
    geometry_of,
    input_rows,
    is_linear_map,
    output_rows,
)
from tnm_core.torch.calibrate.data.moments import Moments
from tnm_core.torch.calibrate.data.order import Group, execution_groups
from tnm_core.torch.calibrate.data.recording import (
    Calibration,
    Call,
    evaluating,
    record,
    same_inputs,
)
from tnm_core.torch.layers import select_layers, unwrap

__all__ = ["Statistics", "collect_statistics"]

_FORMAT = "tnm_core calibration statistics 1"


@dataclass(frozen=True)
class Statistics:
    """Moments of layers' inputs and outputs, by name, in the order in which the model calls them.

    Attributes
    ----------
    layers : dict of str to Moments
        One for every Linear and Conv2d. Layers that get the same input may share the sums of that:
        to add rows, use ``collect_statistics(..., into=)``.
    """

    layers: dict[str, Moments]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write them to a file, which is replaced as a whole."""
        state = {name: moments.state_dict() for name, moments in self.layers.items()}
        target = Path(path)
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save({"format": _FORMAT, "layers": state}, file)
            Path(beside).replace(target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statistics:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        saved = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
            raise ValueError(f"{os.fspath(path)} holds no calibration statistics of this version")
        return cls({name: Moments.from_state_dict(s) for name, s in saved["layers"].items()})


def collect_statistics(
    model: nn.Module,
    calibration_loader: Iterable[Any],
    *,
    include: Names | None = None,
    exclude: Names = (),
    forward: Callable[[nn.Module, Any], Any] | None = None,
    rows: Callable[[Any], torch.Tensor | None] | None = None,
    into: Statistics | None = None,
) -> Statistics:
    """Run a model on calibration data and sum up what its layers get and return.

    Memory does not depend on how much data there are: a float64 matrix (columns, columns) for the
    layers that share an input, and one (outputs, columns) for each layer.

    Parameters
    ----------
    model, calibration_loader, include, exclude, forward, rows
        As in `prune_model`. The model is not changed.
    into : Statistics, optional
        Statistics of the same layers. Their moments are replaced by sums over the old data and the
        new, which layers do not share any more.

    Returns
    -------
    Statistics
        `into` if that was given.

    Raises
    ------
    ValueError
        If no layer is selected, or the data never reach one of them.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import collect_statistics
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Linear(32, 8))
    >>> statistics = collect_statistics(model, [torch.randn(64, 16), torch.randn(64, 16)])
    >>> {name: int(moments.count) for name, moments in statistics.layers.items()}
    {'0': 128, '1': 128}
    """
    calibration = Calibration(calibration_loader, forward, rows)
    found = select_layers(model, Pattern(1, 1), Selection(include, exclude), (nn.Linear, nn.Conv2d))
    layers = {one.name: one.module for one in found if one.skip is None}
    if not layers:
        raise ValueError("no layer is selected, expected a Linear or Conv2d with a weight")
    model = unwrap(model)
    with evaluating(model):
        groups, _ = execution_groups(model, calibration, layers)
        if into is not None:
            _check_same_layers(into, layers)
        moments = _collect(model, calibration, groups, layers)
    if into is None:
        return Statistics(moments)
    for name in list(moments):
        into.layers[name] = into.layers[name].plus(moments.pop(name))
    return into


def _check_same_layers(into: Statistics, layers: Mapping[str, nn.Module]) -> None:
    if set(into.layers) != set(layers):
        raise ValueError("into holds statistics of other layers, expected those selected")
    for name, module in layers.items():
        geometry = _geometry(module)
        expected = (geometry.groups, geometry.outputs, geometry.columns)
        found = tuple(into.layers[name].yx.shape)
        if found != expected:
            raise ValueError(
                f"into holds statistics of another layer {name!r}: (groups, outputs, columns) are "
                f"{found}, expected {expected}; collect new ones for this model"
            )


def _collect(
    model: nn.Module,
    calibration: Calibration,
    groups: Sequence[Group],
    layers: Mapping[str, nn.Module],
) -> dict[str, Moments]:
    """Moments by layer; the outputs of linear maps need not be looked at, only their inputs."""
    sums_of = {name: part[0] for group in groups for part in _parts(group, layers) for name in part}
    geometries = {name: _geometry(module) for name, module in layers.items()}
    looked_at = {name for name in sums_of if not is_linear_map(layers[name])}
    sums: dict[str, Moments] = {}
    for batch in calibration.batches:
        calls = record(partial(calibration.forward, model, batch), layers, outputs=bool(looked_at))
        _part_ways(sums_of, sums, calls)
        mask = calibration.rows(batch)
        for name in dict.fromkeys(sums_of.values()):
            module, geometry = layers[name], geometries[name]
            for call in calls.get(name, ()):
                x = input_rows(module, attended(call.input, mask), geometry)
                y = None
                if name in looked_at:
                    y = output_rows(module, attended(call.output, mask), geometry)
                if name not in sums:
                    outputs = 0 if y is None else geometry.outputs
                    sums[name] = Moments(geometry.groups, geometry.columns, outputs, x.device)
                sums[name].add(x, y)
    return {
        name: sums[first]
        if first in looked_at
        else sums[first].with_outputs(*geometries[name].parameters(layers[name]))
        for name, first in sums_of.items()
    }


def _parts(group: Group, layers: Mapping[str, nn.Module]) -> Iterator[list[str]]:
    """Those that share sums: linear maps do, others have outputs of their own."""
    plain = [name for name in group.names if is_linear_map(layers[name])]
    if plain:
        yield plain
    yield from ([name] for name in group.names if name not in plain)


def _part_ways(
    sums_of: dict[str, str], sums: dict[str, Moments], calls: Mapping[str, Sequence[Call]]
) -> None:
    """Give sums of their own to layers that shared an input in the batches before, not in this."""
    for name, first in sums_of.items():
        if name != first and not same_inputs(calls.get(name, ()), calls.get(first, ())):
            sums_of[name] = name
            if first in sums:
                sums[name] = sums[first].copy()


def _geometry(module: nn.Module) -> Geometry:
    geometry = geometry_of(module)
    assert isinstance(geometry, Geometry)
    return geometry
