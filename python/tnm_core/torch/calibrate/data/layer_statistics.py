"""Statistics of a dense model's layers, collected in one pass; saved and loaded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.selection import Names, Selection, as_selection
from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip
from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.execution_order import (
    Group,
    execution_order,
    why_left_out,
)
from tnm_core.torch.calibrate.data.layer_matrices import (
    CALIBRATED_LAYERS,
    CalibratedLayer,
    input_rows,
    is_linear_map,
    layer_matrices_of,
    layer_of,
    output_rows,
    parameters_of,
)
from tnm_core.torch.calibrate.data.moments import Moments, MomentSums
from tnm_core.torch.calibrate.data.recording import Call, evaluating, record, same_inputs
from tnm_core.torch.layers import select_layers, unwrap

_FORMAT = "tnm_core calibration statistics 1"


@dataclass(frozen=True)
class Statistics:
    """Moments of layers' inputs and outputs, by name, in the order in which the model calls them.

    Attributes
    ----------
    layers : dict of str to Moments
        One for every Linear and Conv2d. Layers that get the same input may share the sums of that.
        To add rows, use ``collect_statistics(..., into=)``.
    unreached : set of str
        Layers that were selected, but that no data reached.
    own_products : set of str
        Layers that were selected, but whose own code multiplies by something else than their
        weight, adds something else than their bias, or does so in a way that is not watched.
    """

    layers: dict[str, Moments]
    unreached: set[str] = field(default_factory=set)
    own_products: set[str] = field(default_factory=set)

    __repr__ = short_repr

    @property
    def skips(self) -> dict[str, Skip]:
        """Why layers that were selected are not among `layers`, by name."""
        return why_left_out(sorted(self.unreached), sorted(self.own_products))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write them to a file, which is replaced as a whole."""
        state = {
            "format": _FORMAT,
            "layers": {name: moments.state_dict() for name, moments in self.layers.items()},
            "unreached": sorted(self.unreached),
            "own_products": sorted(self.own_products),
        }
        target = Path(path)
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save(state, file)
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
        layers = {name: Moments.from_state_dict(s) for name, s in saved["layers"].items()}
        left_out = (set(saved.get(key, ())) for key in ("unreached", "own_products"))
        return cls(layers, *left_out)


def collect_statistics(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    include: Names | Selection | None = None,
    exclude: Names | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    rows: Callable[[Any], torch.Tensor | None] | None = None,
    into: Statistics | None = None,
) -> Statistics:
    """Run a model on calibration data and sum up what its layers get and return.

    Memory does not depend on how much data there are: a float64 matrix (columns, columns) for the
    layers that share an input, and one (outputs, columns) for each layer.

    Parameters
    ----------
    model, batches, include, exclude, forward, rows
        As in `prune_model_`. The model is not changed.
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
        If no layer is selected, or none of them would be among the `layers`.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import collect_statistics
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Linear(32, 8))
    >>> statistics = collect_statistics(model, [torch.randn(64, 16), torch.randn(64, 16)])
    >>> {name: int(moments.count) for name, moments in statistics.layers.items()}
    {'0': 128, '1': 128}
    """
    calibration = Calibration(batches, forward, rows)
    selection = as_selection(include, exclude)
    found = select_layers(model, Pattern(1, 1), selection, CALIBRATED_LAYERS)
    model = unwrap(model)
    layers = {
        one.name: layer_of(model, one.name)
        for one in found
        if one.skip is None and isinstance(one.module, CALIBRATED_LAYERS)
    }
    if not layers:
        raise ValueError("no layer is selected, expected a Linear or Conv2d with a weight")
    if into is not None:
        _check_same_layers(into, layers)
    with evaluating(model):
        order = execution_order(model, calibration, layers)
        met = {name: layers[name] for group in order.groups for name in group.names}
        moments = _collect(model, calibration, order.groups, met)
    statistics = Statistics(moments, set(order.unreached), set(order.own_products))
    if into is None:
        return statistics
    _add_(into, statistics)
    return into


def _add_(into: Statistics, found: Statistics) -> None:
    """Add statistics to others, and let go of them one by one."""
    for name in list(found.layers):
        new = found.layers.pop(name)
        into.layers[name] = into.layers[name].plus(new) if name in into.layers else new
    into.own_products.update(found.own_products)
    into.own_products.difference_update(into.layers)
    into.unreached.difference_update(into.layers, into.own_products)


def _check_same_layers(into: Statistics, layers: Mapping[str, CalibratedLayer]) -> None:
    if set(into.layers) | into.unreached | into.own_products != set(layers):
        raise ValueError("into holds statistics of other layers, expected those selected")
    for name in into.layers:
        matrices = layer_matrices_of(layers[name])
        expected = (matrices.groups, matrices.outputs, matrices.columns)
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
    layers: Mapping[str, CalibratedLayer],
) -> dict[str, Moments]:
    """Sum up by layer; the outputs of linear maps need not be looked at, only their inputs."""
    first_of: dict[str, str] = {}
    for group in groups:
        linear = [name for name in group.names if is_linear_map(layers[name])]
        first_of |= {name: linear[0] if name in linear else name for name in group.names}
    looked_at = {name for name in layers if not is_linear_map(layers[name])}
    sums: dict[str, MomentSums] = {}
    for batch in calibration.batches:
        calls = record(partial(calibration.forward, model, batch), layers, outputs=bool(looked_at))
        split_shared_sums(first_of, sums, calls)
        mask = calibration.rows(batch)
        for name in dict.fromkeys(first_of.values()):
            layer = layers[name]
            for made in (one for call in calls.get(name, ()) for one in call.products):
                x = input_rows(layer, made.given, mask, made.unfolding)
                y = output_rows(layer, made.output, mask) if name in looked_at else None
                if name not in sums:
                    outputs = 0 if y is None else y.shape[2]
                    sums[name] = MomentSums(x.shape[0], x.shape[2], outputs, x.device)
                sums[name].add(x, y)
    # One after the other, so that no more than one matrix is there twice.
    moments = {name: sums.pop(name).moments() for name in list(sums)}
    return {
        name: moments[first]
        if first in looked_at
        else moments[first].with_outputs(*parameters_of(layers[name]))
        for name, first in first_of.items()
    }


def split_shared_sums(
    first_of: dict[str, str], sums: dict[str, MomentSums], calls: Mapping[str, Sequence[Call]]
) -> None:
    """Give sums of their own to layers that shared an input in the batches before, not in this.

    Changed are `first_of`, by layer the one whose sums it shares, and `sums`, by first layer.
    """
    for name, first in first_of.items():
        if name != first and not same_inputs(calls.get(name, ()), calls.get(first, ())):
            first_of[name] = name
            if first in sums:
                sums[name] = sums[first].copy()
