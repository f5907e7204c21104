"""Finding dimensions whose order does not matter, by trying on a copy of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from tnm_core.torch.calibrate.data import Calibration, record
from tnm_core.torch.calibrate.permute.dimensions import (
    FreeDimension,
    block_needed,
    channels_of,
    is_depthwise,
    why_invalid,
)
from tnm_core.torch.calibrate.permute.probe import PermutationProbe
from tnm_core.torch.layers import unwrap

_LEAST_BLOCK = 4  # two tiles of the smallest pattern


def find_free_dimensions(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    head_size: int | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    seed: int = 0,
) -> list[FreeDimension]:
    """Find dimensions whose order does not matter, by trying: shuffle, run, compare.

    Tried are: the outputs of the layers that share an input, one by one (values, channels), and all
    together (the hidden units of a gated feed-forward network), with the inputs of the layers that
    run next, through normalisations and depthwise convolutions between; and with `head_size`, pairs
    of layers that share an input, without another (queries and keys). Grouped convolutions and
    group normalisation restrict the order to blocks.

    Parameters
    ----------
    model : torch.nn.Module
        Linear and Conv2d layers are looked at. A copy of it runs once or twice for each attempt, in
        float64 and on a few samples of the first batch if it can, else as it is.
    batches : iterable of batches
        Only the first batch is used.
    head_size : int, optional
        Also try to move the units of Linear layers within blocks of so many.
    forward : function of model and batch, optional
        As in `prune_model_`.
    seed : int
        Of the shuffling.

    Raises
    ------
    ValueError
        If there is no batch.
    TypeError
        If the model returns no floating-point tensor to compare.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import find_free_dimensions
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16),
    ...                             torch.nn.ReLU(), torch.nn.Conv2d(16, 8, 3))
    >>> find_free_dimensions(model, [torch.randn(2, 3, 8, 8)])
    [FreeDimension(outputs=('0',), inputs=('3',), block=None, through=('1',))]
    """
    probe = PermutationProbe(unwrap(model), Calibration(batches, forward), seed)
    calls = _call_order(probe)
    found: list[FreeDimension] = []
    for together in calls.groups:
        for tried in _candidates(probe.model, calls, together, head_size):
            if _taken(found, tried) or why_invalid(probe.model, tried) is not None:
                continue
            if probe.change(tried) <= probe.tolerance and probe.matters(tried):
                found.append(tried)
    return found


@dataclass(frozen=True)
class _CallOrder:
    """In which order modules were called, and which layers had the same input."""

    position: dict[str, int]
    groups: list[tuple[str, ...]]
    between: tuple[str, ...]

    def following(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the layers that get the next tensor after the outputs of some layers."""
        last = max(self.position[name] for name in names)
        return next((one for one in self.groups if self.position[one[0]] > last), ())

    def through(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> tuple[str, ...]:
        """Return what was called between layers."""
        first = min(self.position[name] for name in outputs)
        last = min((self.position[name] for name in inputs), default=first)
        return tuple(name for name in self.between if first < self.position[name] < last)


def _call_order(probe: PermutationProbe) -> _CallOrder:
    """Run a model once to see its calls."""
    modules = dict(probe.model.named_modules())
    layers = {
        name for name, module in modules.items()
        if type(module) in (nn.Linear, nn.Conv2d) and not is_depthwise(module)
    }  # fmt: skip
    between = {name for name, module in modules.items() if channels_of(module) is not None}
    watched = {name: module for name, module in modules.items() if name in layers | between}
    made = record(probe.run, watched, outputs=False)
    groups: dict[int, list[str]] = {}
    for name, calls in made.items():
        if name in layers:
            # The records keep the tensors alive, so that no two of them have the same identity.
            given = id(calls[0].input) if len(calls) == 1 else id(calls)
            groups.setdefault(given, []).append(name)
    return _CallOrder(
        {name: position for position, name in enumerate(made)},
        [tuple(group) for group in groups.values()],
        tuple(name for name in made if name in between),
    )


def _candidates(
    model: nn.Module, calls: _CallOrder, together: tuple[str, ...], head_size: int | None
) -> list[FreeDimension]:
    tried = [one for name in together for one in _with_next(model, calls, (name,), head_size)]
    linear = all(isinstance(model.get_submodule(name), nn.Linear) for name in together)
    if head_size is not None and linear:
        pairs = [(a, b) for i, a in enumerate(together) for b in together[i + 1 :]]
        tried += [FreeDimension(pair, (), head_size) for pair in pairs]
    if len(together) > 1:  # last, because it ties the layers to the same order
        tried += _with_next(model, calls, together, head_size)
    return tried


def _with_next(
    model: nn.Module, calls: _CallOrder, outputs: tuple[str, ...], head_size: int | None
) -> list[FreeDimension]:
    """Join outputs with the inputs of what follows, with and without what is between."""
    inputs = calls.following(outputs)
    between = calls.through(outputs, inputs)
    tried = []
    for through in dict.fromkeys((between, ())):
        needed = block_needed(model, FreeDimension(outputs, inputs, None, through))
        blocks = [needed] if needed is None or needed >= _LEAST_BLOCK else []
        if head_size is not None and isinstance(model.get_submodule(outputs[0]), nn.Linear):
            blocks.append(head_size)
        tried += [FreeDimension(outputs, inputs, block, through) for block in blocks]
    return [one for one in tried if one.inputs or len(one.outputs) > 1]


def _taken(found: Sequence[FreeDimension], tried: FreeDimension) -> bool:
    return any(
        set(one.outputs) & set(tried.outputs) or set(one.inputs) & set(tried.inputs)
        for one in found
    )
